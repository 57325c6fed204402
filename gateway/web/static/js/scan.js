// Redeem page: a scanner's code sends itself, the camera reads where the browser really can, answers come in place.
(function () {
  'use strict';
  var ALPHABET = '23456789ABCDEFGHJKMNPQRSTUVWXYZ', LENGTH = 13, PATIENCE_MS = 8000, SAME_MS = 10000;
  var form = document.getElementById('scan');
  if (!form) { return; }
  function at(id) { return document.getElementById(id); }
  var field = form.querySelector('[name=code]'), fault = at('code-fault'), answer = at('answer');
  var queue = window.drainageQueue, busy = false, next = [];

  // The same folding and check sum as the server's: full-width forms, case, dashes and spaces are only form.
  function plain(text) {
    var folded = text.normalize('NFKC'), address = /\/v\/([^/?#]+)/i.exec(folded);
    return (address ? address[1] : folded).replace(/[\s\u2010-\u2015\u2212-]/g, '').toUpperCase();
  }
  function holds(code) {
    var sum = 0;
    for (var place = 0; place < LENGTH; place += 1) {
      var value = ALPHABET.indexOf(code.charAt(place));
      if (value < 0) { return false; }
      sum += value * (place + 1);
    }
    return code.length === LENGTH && sum % ALPHABET.length === 0;
  }
  function tellFault(wrong) {
    fault.hidden = !wrong;
    field.setAttribute('aria-invalid', wrong ? 'true' : 'false');
  }

  // -- sounds: two pitches, and a switch that is remembered ----------------------------------------------------------
  var sound = at('sound'), context = null, loud = true;
  try { loud = window.localStorage.getItem('drainage.sound') !== 'off'; } catch (e) { loud = true; }
  function tone(start, pitch) {
    var source = context.createOscillator(), gain = context.createGain();
    source.frequency.value = pitch;
    gain.gain.value = 0.2;
    source.connect(gain);
    gain.connect(context.destination);
    source.start(context.currentTime + start);
    source.stop(context.currentTime + start + 0.12);
  }
  function signal(good) {
    var active = !navigator.userActivation || navigator.userActivation.hasBeenActive;
    if (navigator.vibrate && active) { navigator.vibrate(good ? 80 : [80, 60, 80]); }
    var Sound = window.AudioContext || window.webkitAudioContext;
    if (!loud || !Sound || !active) { return; }
    context = context || new Sound();
    if (context.state === 'suspended') { context.resume(); }
    tone(0, good ? 880 : 220);
    if (!good) { tone(0.18, 220); }
  }
  if (sound && (window.AudioContext || window.webkitAudioContext)) {
    var on = sound.textContent;
    var label = function () {
      sound.textContent = loud ? on : sound.getAttribute('data-off');
      sound.setAttribute('aria-pressed', String(loud));
    };
    sound.hidden = false;
    label();
    sound.addEventListener('click', function () {
      loud = !loud;
      try { window.localStorage.setItem('drainage.sound', loud ? 'on' : 'off'); } catch (e) { /* kept for this page */ }
      label();
      if (loud) { signal(true); }
      field.focus();
    });
  }

  // -- answers in place ----------------------------------------------------------------------------------------------
  function swap(page, id) {
    var part = page.getElementById(id);
    if (part) { at(id).innerHTML = part.innerHTML; }
    return part;
  }
  function refresh(page) {
    swap(page, 'recent');
    if (queue) { queue.tell(); }
  }
  function rest() {
    busy = false;
    form.removeAttribute('aria-busy');
    var asks = answer.querySelector('.answer-form input:not([type=hidden]), .answer-form .main');
    if (asks && !asks.closest('details')) { asks.focus(); } else { field.focus(); }
    if (next.length) { go(next.shift()); }
  }
  function say(word) {
    var told = at('say-' + word);
    answer.textContent = '';
    answer.appendChild(document.importNode(told.content, true));
    answer.firstElementChild.setAttribute('data-result', word);
    signal(false);
  }
  function shown(page) {
    var part = swap(page, 'answer');
    refresh(page);
    var key = page.querySelector('#scan [name=key]');
    if (key) { document.querySelectorAll('#scan [name=key], #photo [name=key]').forEach(function (one) { one.value = key.value; }); }
    var kind = part && part.querySelector('[data-result]');
    var word = kind ? kind.getAttribute('data-result') : '';
    if (word && word !== 'preview') { signal(word === 'used_now' || word === 'reversed'); }
    if (word === 'used_now') { form.querySelector('[name=amount]').value = ''; }
  }
  function post(action, body, lost) {
    var patience = new AbortController();
    var late = window.setTimeout(function () { patience.abort(); }, body instanceof FormData ? 6 * PATIENCE_MS : PATIENCE_MS);
    busy = true;
    form.setAttribute('aria-busy', 'true');
    return fetch(action, {
      method: 'POST', body: body, credentials: 'same-origin', cache: 'no-store', signal: patience.signal
    }).then(function (reply) {
      // A line may break at a proxy too; whatever it was, the request id makes a second try harmless.
      if (reply.status >= 502 && reply.status <= 504) { throw new TypeError('no line'); }
      return reply.text().then(function (html) {
        var page = new DOMParser().parseFromString(html, 'text/html');
        if (page.getElementById('answer')) {
          shown(page);
        } else {
          say(reply.status === 401 || reply.status === 403 ? 'login' : reply.status === 429 ? 'wait' : 'failed');
        }
      });
    }).catch(lost).then(function () {
      window.clearTimeout(late);
      rest();
    });
  }
  function fen(text) { return text ? Math.round(parseFloat(text.replace(/[¥,\s]/g, '')) * 100) : 0; }

  // One scan: sent, or kept where there is no line. `last` is the same code a moment ago, whose result stands.
  var last = {code: '', at: 0};
  function go(code) {
    if (busy) { next.push(code); return; }
    var now = Date.now();
    var key = form.querySelector('[name=key]'), shop = form.querySelector('[name=shop]');
    var amount = form.querySelector('[name=amount]').value;
    var scan = {c: code, n: key.value, t: now};
    if (fen(amount)) { scan.a = fen(amount); }
    if (shop && shop.value) { scan.s = shop.value; }
    function lost() {
      if (code === last.code && now - last.at < SAME_MS && answer.querySelector('[data-result=kept]')) { return; }
      last = {code: code, at: now};
      say(queue ? queue.keep(scan) : 'typed');
      // The kept scan's nonce is the request id that this try may have reached us with; the next scan has its own.
      key.value = fresh();
    }
    field.value = '';
    tellFault(false);
    if (queue && queue.isOff()) {
      lost();
      rest();
      return;
    }
    var body = new URLSearchParams(new FormData(form));
    body.set('code', code);
    post(form.action, body, lost);
  }
  function fresh() {
    var bytes = new Uint8Array(16), text = '';
    window.crypto.getRandomValues(bytes);
    bytes.forEach(function (byte) { text += String.fromCharCode(byte); });
    return window.btoa(text).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
  }
  function take(text) {
    var code = plain(text);
    // A second scan behind a faulty first one that is still in the field.
    if (code.length >= 2 * LENGTH && holds(code.slice(-LENGTH))) { code = code.slice(-LENGTH); }
    tellFault(code.length === LENGTH && !holds(code));
    if (!holds(code)) { return false; }
    go(code);
    return true;
  }
  field.addEventListener('input', function (event) { if (!event.isComposing) { take(field.value); } });
  field.addEventListener('compositionend', function () { take(field.value); });
  document.addEventListener('submit', function (event) {
    var sent = event.target;
    if (!sent.hasAttribute('data-scan')) { return; }
    event.preventDefault();
    if (busy) { return; }
    if (sent === form) {
      var code = plain(field.value);
      if (code.length === LENGTH && !holds(code)) { tellFault(true); field.select(); return; }
      if (!holds(code) && queue && queue.isOff()) { say('typed'); return; }
      go(holds(code) ? code : field.value);
      return;
    }
    var body = new FormData(sent);
    // The button that was pressed says something too.
    if (event.submitter && event.submitter.name) { body.append(event.submitter.name, event.submitter.value); }
    post(sent.action, sent.enctype === 'multipart/form-data' ? body : new URLSearchParams(body), function () { say('typed'); });
  });
  document.addEventListener('queue:merged', function () {
    fetch(form.action, {credentials: 'same-origin', cache: 'no-store'}).then(function (reply) { return reply.text(); })
      .then(function (html) { refresh(new DOMParser().parseFromString(html, 'text/html')); }).catch(function () { return null; });
  });
  window.addEventListener('pageshow', function (event) { if (event.persisted) { location.reload(); } });
  // A scanner types wherever the focus is: while nothing else is in use, that must be the field.
  document.addEventListener('keydown', function (event) {
    var idle = event.target === document.body || event.target.tagName === 'BUTTON' || event.target.tagName === 'SUMMARY';
    if (idle && event.key.length === 1 && event.key !== ' ' && !event.ctrlKey && !event.metaKey && !event.altKey) { field.focus(); }
  });
  if (document.activeElement === field && field.value) { field.select(); }

  // -- photo and camera ----------------------------------------------------------------------------------------------
  var photo = at('photo');
  if (photo) {
    photo.classList.add('ready');
    photo.querySelector('[type=file]').addEventListener('change', function (event) {
      if (!event.target.files.length || busy) { return; }
      post(photo.action, new FormData(photo), function () { say('typed'); });
      photo.reset();
    });
  }
  var button = at('camera'), view = at('view'), stream = null;
  if (!button || !('BarcodeDetector' in window) || !navigator.mediaDevices) { return; }
  var off = button.textContent;
  // Some browsers have the name without the function: only a list with QR and a detection that runs count.
  window.BarcodeDetector.getSupportedFormats().then(function (formats) {
    if (formats.indexOf('qr_code') < 0) { return null; }
    var trial = document.createElement('canvas');
    trial.width = trial.height = 8;
    var detector = new window.BarcodeDetector({formats: ['qr_code']});
    return detector.detect(trial).then(function () { offer(detector); });
  }).catch(function () { button.hidden = true; });

  function stop() {
    stream.getTracks().forEach(function (track) { track.stop(); });
    stream = null;
    view.hidden = true;
    button.textContent = off;
  }
  function offer(detector) {
    button.hidden = false;
    button.addEventListener('click', function () {
      if (stream) { stop(); return; }
      navigator.mediaDevices.getUserMedia({video: {facingMode: 'environment'}, audio: false}).then(function (opened) {
        stream = opened;
        view.hidden = false;
        view.srcObject = stream;
        view.play();
        button.textContent = button.getAttribute('data-on');
        look(detector, {code: '', at: 0});
      }, function () {
        button.hidden = true;
        at('no-camera').hidden = false;
      });
    });
  }
  function look(detector, seen) {
    if (!stream) { return; }
    detector.detect(view).then(function (found) {
      found.forEach(function (one) {
        var code = plain(one.rawValue);
        // The same code stays before the lens for a while: that is one scan.
        if (code === seen.code && Date.now() - seen.at < SAME_MS) { return; }
        if (take(one.rawValue)) { seen.code = code; seen.at = Date.now(); }
      });
    }, function () { return null; }).then(function () { window.setTimeout(function () { look(detector, seen); }, 250); });
  }
}());
