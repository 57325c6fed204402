// An order's page: asks the wallet's own browser for the money, and shows a new page once our own state has moved.
(function () {
  'use strict';
  var order = document.getElementById('order');
  var step = order && order.querySelector('[data-step]');
  if (!step) { return; }
  var began = step.getAttribute('data-step');
  // What the wallet says below proves nothing; what the server says here does.
  new MutationObserver(function () {
    var now = order.querySelector('[data-step]');
    if (now && now.getAttribute('data-step') !== began) { location.reload(); }
  }).observe(order, {childList: true, subtree: true});

  var place = document.getElementById('pay');
  if (!place) { return; }
  var button = place.querySelector('button');
  var platform = place.getAttribute('data-platform');
  var given = JSON.parse(place.getAttribute('data-bridge'));
  var name = platform === 'wechat' ? 'WeixinJSBridge' : 'AlipayJSBridge';
  var asked = false;
  var patience = 0;

  function say(word) {
    var all = place.querySelectorAll('[data-word]');
    for (var i = 0; i < all.length; i += 1) { all[i].hidden = all[i].getAttribute('data-word') !== word; }
    button.hidden = word === 'waiting' || word === 'absent';
    window.clearTimeout(patience);
    // One order takes money once, so asking again does no harm where the wallet has said nothing for long.
    if (word === 'waiting') { patience = window.setTimeout(function () { asked = false; button.hidden = false; }, 20000); }
  }

  function whenThere(act) {
    if (window[name]) { act(); return; }
    var late = window.setTimeout(function () { asked = false; say('absent'); }, 5000);
    document.addEventListener(name + 'Ready', function () { window.clearTimeout(late); act(); }, {once: true});
  }

  function heard(word) {
    asked = false;
    say(word);
  }

  function ofWechat(answer) {
    var word = String(answer && answer.err_msg || '');
    if (/:cancel/.test(word)) { heard('cancelled'); } else if (/:fail/.test(word)) { heard('failed'); } else { heard('waiting'); }
  }

  function ofAlipay(answer) {
    var code = String(answer && answer.resultCode || '');
    if (code === '6001' || code === '99') { heard('cancelled'); } else if (code === '4000') { heard('failed'); } else { heard('waiting'); }
  }

  function ask() {
    if (asked) { return; }
    asked = true;
    say('waiting');
    whenThere(function () {
      say('waiting');
      if (platform === 'wechat') {
        window[name].invoke('getBrandWCPayRequest', given, ofWechat);
      } else {
        window[name].call('tradePay', given, ofAlipay);
      }
    });
  }

  button.hidden = false;
  button.addEventListener('click', function () { button.blur(); ask(); });
  if (place.hasAttribute('data-auto')) { ask(); }
}());
