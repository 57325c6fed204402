// The page that WeChat opens after a payment: looks for a gift, tells WeChat in time whether to show us, jumps on a tap.
(function () {
  'use strict';
  var LOOKS = [400, 800, 1200, 1800];
  var LOOKS_ALWAYS = [2600, 3400, 4200, 5000, 6000, 7000, 8000, 9000, 9800];
  var GIVE_UP = 2400;
  var OURS_AT = 2000;
  var CLOSE = 10000;
  var CUSTOM = 'SHOW_CUSTOM_PAGE';
  var OFFICIAL = 'SHOW_OFFICIAL_PAGE';
  var main = document.getElementById('main');
  var wechat = main ? main.getAttribute('data-parent') : 'https://payapp.weixin.qq.com';
  var told = false;
  var over = false;

  function say(message) {
    if (wechat && window.parent !== window) { window.parent.postMessage(JSON.stringify(message), wechat); }
  }
  // WeChat takes the first word only, and waits three seconds for it.
  function ready(style) {
    if (told) { return; }
    told = true;
    say(style === CUSTOM ? {action: 'onIframeReady', displayStyle: style, height: 600} : {action: 'onIframeReady', displayStyle: style});
  }
  function end(title) {
    over = true;
    main.textContent = '';
    if (title) {
      var words = document.createElement('h1');
      words.className = 'wait';
      words.textContent = title;
      main.appendChild(words);
    }
  }
  function nothing() {
    if (!over) { end(''); }
    ready(OFFICIAL);
  }
  function look(address) {
    if (over) { return; }
    fetch(address, {credentials: 'omit', cache: 'no-store'}).then(function (answer) {
      return answer.status === 200 ? answer.text() : '';
    }).then(function (html) {
      // What comes after the official receipt was asked for comes too late.
      if (!html || over) { return; }
      over = true;
      main.innerHTML = html;
      ready(CUSTOM);
    }).catch(function () { return null; });
  }
  function start() {
    var state = main.getAttribute('data-state');
    var closing = main.getAttribute('data-always');
    if (state === 'gift') { over = true; ready(CUSTOM); return; }
    if (state !== 'looking') { nothing(); return; }
    var address = main.getAttribute('data-look');
    var times = closing ? LOOKS.concat(LOOKS_ALWAYS) : LOOKS;
    times.forEach(function (ms) { window.setTimeout(function () { look(address); }, ms); });
    if (closing) {
      window.setTimeout(function () { ready(CUSTOM); }, OURS_AT);
      window.setTimeout(function () { if (!over) { end(closing); } }, CLOSE);
    } else {
      window.setTimeout(function () { if (!over) { nothing(); } }, GIVE_UP);
    }
  }
  try {
    main.addEventListener('click', function (event) {
      var button = event.target.closest('[data-jump]');
      if (!button || !wechat || window.parent === window) { return; }
      event.preventDefault();
      // Only a finger's tap may leave WeChat's page; a made-up one is punished by it.
      if (event.isTrusted) { say({action: 'jumpOut', jumpOutUrl: button.getAttribute('data-jump')}); }
    });
    start();
  } catch (error) {
    ready(OFFICIAL);
  }
}());
