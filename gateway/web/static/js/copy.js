// Customer pages: takes the token out of the address bar, copies an address, and keeps a form from being sent twice.
(function () {
  'use strict';
  var body = document.body;
  var address = body.getAttribute('data-address');
  if (address && window.history && history.replaceState) {
    history.replaceState(null, '', address);
  }
  // A page that comes back out of the browser's memory may tell of yesterday's state.
  window.addEventListener('pageshow', function (event) {
    if (event.persisted) { location.reload(); }
  });
  document.addEventListener('submit', function (event) {
    var button = event.target.querySelector('button[data-busy]');
    if (!button) { return; }
    if (button.disabled) { event.preventDefault(); return; }
    button.disabled = true;
    button.textContent = button.getAttribute('data-busy');
    var late = document.getElementById('late');
    // No answer after a while: the page says that tapping again does no harm, and lets the customer.
    window.setTimeout(function () {
      button.disabled = false;
      button.textContent = button.getAttribute('data-again');
      if (late) { late.hidden = false; }
    }, 8000);
  });
  // A phone's older browser has no forEach on lists of elements.
  Array.prototype.forEach.call(navigator.clipboard ? document.querySelectorAll('[data-copy]') : [], function (copy) {
    copy.hidden = false;
    copy.addEventListener('click', function () {
      navigator.clipboard.writeText(copy.getAttribute('data-copy')).then(function () {
        copy.textContent = copy.getAttribute('data-done');
      }, function () { copy.hidden = true; });
    });
  });
}());
