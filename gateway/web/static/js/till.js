// The second screen: hears what to show by a stream, asks again and again where there is none, and takes a code away
// the moment it cannot be sure of it any more.
(function () {
  'use strict';
  var BUSY_MS = 60000;
  var LONGEST = 60000;
  var SILENT_MS = 12000;
  var part = document.getElementById('screen');
  if (!part) { return; }
  var line = document.getElementById('lost-line');
  var tag = part.getAttribute('data-tag');
  var kept = part.innerHTML;
  var lost = false;
  var ends = 0;
  var changed = now();
  var heard = now();
  var ticked = now();
  var source = null;
  var parting = false;
  var polling = false;
  var timer = 0;
  var misses = 0;

  function now() { return window.performance.now(); }
  function code() { return part.querySelector('[data-left]'); }
  function fill(name) {
    part.textContent = '';
    part.appendChild(document.getElementById(name).content.cloneNode(true));
  }
  function show(html, newTag) {
    if (newTag !== tag) { changed = now(); }
    tag = newTag;
    kept = html;
    lost = false;
    line.hidden = true;
    part.innerHTML = html;
    ends = code() ? now() + Number(code().getAttribute('data-left')) * 1000 : 0;
  }
  function again() {
    heard = now();
    if (!lost) { return; }
    lost = false;
    line.hidden = true;
    // What was kept counts as long as its own time does; the seconds went on meanwhile.
    if (ends && now() >= ends) { fill('idle'); } else { part.innerHTML = kept; tick(); }
  }
  function lose() {
    if (lost) { return; }
    lost = true;
    line.hidden = false;
    if (code()) { fill('lost'); }
  }
  function tick() {
    var at = now();
    // A machine that slept knows nothing of what happened since.
    if (at - ticked > 10000) { lose(); }
    ticked = at;
    if (!code()) { return; }
    var left = Math.ceil((ends - at) / 1000);
    if (left <= 0) { fill('idle'); return; }
    var count = part.querySelector('[data-count]');
    if (count) { count.textContent = String(left); }
    if (!polling && at - heard > SILENT_MS) { lose(); poll(); }
  }

  function plan(ms) {
    window.clearTimeout(timer);
    if (polling) { timer = window.setTimeout(ask, ms); }
  }
  function poll() {
    if (polling) { return; }
    polling = true;
    plan(0);
  }
  function ask() {
    fetch(part.getAttribute('data-poll'), {
      headers: {'If-None-Match': tag}, credentials: 'same-origin', cache: 'no-store'
    }).then(function (answer) {
      if (answer.status === 401) { location.reload(); return null; }
      if (answer.status === 304) { misses = 0; again(); return null; }
      if (!answer.ok) { return miss(Number(answer.headers.get('Retry-After')) * 1000 || 0); }
      return answer.text().then(function (html) {
        misses = 0;
        heard = now();
        show(html, answer.headers.get('ETag') || '');
      });
    }).catch(function () { miss(0); }).then(function () {
      var every = now() - changed < BUSY_MS ? 1000 : 2000;
      plan(misses > 2 ? Math.min(LONGEST, every * Math.pow(1.6, misses) * (0.8 + Math.random() * 0.4)) : every);
    });
  }
  function miss() {
    misses += 1;
    lose();
    return null;
  }

  function listen() {
    if (!window.EventSource) { poll(); return; }
    source = new EventSource(part.getAttribute('data-stream'));
    source.addEventListener('open', function () {
      polling = false;
      parting = false;
      misses = 0;
      window.clearTimeout(timer);
      heard = now();
    });
    source.addEventListener('show', function (event) { heard = now(); show(event.data, event.lastEventId); });
    source.addEventListener('same', again);
    source.addEventListener('beat', again);
    source.addEventListener('bye', function () { parting = true; heard = now(); });
    source.addEventListener('error', function () {
      if (source.readyState === 2) {
        // Refused: no slot is free, or this screen is not known. Asking tells which; the stream is tried once a minute.
        source.close();
        poll();
        window.setTimeout(listen, 60000);
        return;
      }
      if (!parting) { lose(); poll(); }
      parting = false;
    });
  }
  show(kept, tag);
  window.setInterval(tick, 1000);
  window.addEventListener('offline', lose);
  window.addEventListener('pageshow', function (event) { if (event.persisted) { location.reload(); } });
  listen();
}());
