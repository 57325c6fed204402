// A button that prints the page; without scripts the browser's own menu does.
(function () {
  'use strict';
  var button = document.querySelector('[data-print]');
  if (!button || !window.print) { return; }
  button.hidden = false;
  button.addEventListener('click', function () { window.print(); });
}());
