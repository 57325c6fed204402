// A payout's page: asks WeChat to let its owner take the money, and shows a new page once our own state has moved.
(function () {
  'use strict';
  var told = document.getElementById('payout');
  var step = told && told.querySelector('[data-step]');
  if (!step) { return; }
  var began = step.getAttribute('data-step');
  // What WeChat says below proves nothing; what the server says here does.
  new MutationObserver(function () {
    var now = told.querySelector('[data-step]');
    if (now && now.getAttribute('data-step') !== began) { location.reload(); }
  }).observe(told, {childList: true, subtree: true});

  var place = document.getElementById('receive');
  if (!place) { return; }
  var button = place.querySelector('button');
  var given = JSON.parse(place.getAttribute('data-bridge'));
  var asked = false;
  var patience = 0;

  function say(word) {
    var all = place.querySelectorAll('[data-word]');
    for (var i = 0; i < all.length; i += 1) { all[i].hidden = all[i].getAttribute('data-word') !== word; }
    button.hidden = word === 'waiting' || word === 'absent';
    window.clearTimeout(patience);
    // One transfer is taken once, so asking again does no harm where WeChat has said nothing for long.
    if (word === 'waiting') { patience = window.setTimeout(function () { asked = false; button.hidden = false; }, 20000); }
  }

  function heard(answer) {
    var word = String(answer && answer.err_msg || '');
    asked = false;
    // After a yes the page is read again, which has the platform asked at once.
    if (/:ok/.test(word)) { location.reload(); } else { say(/:cancel/.test(word) ? 'cancelled' : 'failed'); }
  }

  function ask() {
    if (asked) { return; }
    asked = true;
    say('waiting');
    if (window.WeixinJSBridge) { window.WeixinJSBridge.invoke('requestMerchantTransfer', given, heard); return; }
    var late = window.setTimeout(function () { asked = false; say('absent'); }, 5000);
    document.addEventListener('WeixinJSBridgeReady', function () {
      window.clearTimeout(late);
      window.WeixinJSBridge.invoke('requestMerchantTransfer', given, heard);
    }, {once: true});
  }

  button.hidden = false;
  button.addEventListener('click', function () { button.blur(); ask(); });
}());
