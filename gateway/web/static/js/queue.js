// Scans made without a line: kept on this device, sent oldest first once the line is back, each under its own nonce.
// A kept scan is a code, a nonce, a time, and the bill where one was typed; nothing of any person.
(function () {
  'use strict';
  var MOST = 200, AT_ONCE = 20, LONGEST_S = 60;
  var root = document.getElementById('queue');
  if (!root || !window.fetch) { return; }
  var NAME = 'drainage.scans.' + root.getAttribute('data-place');
  function at(id) { return document.getElementById(id); }
  var waiting = at('waiting'), done = at('queue-done');
  var off = false, busy = false, stopped = false, wait = 1, timer = 0;
  var tally = {redeemed: 0, conflict: 0, held: 0};

  function read() {
    try {
      var kept = JSON.parse(window.localStorage.getItem(NAME) || '[]');
      return Array.isArray(kept) ? kept : [];
    } catch (e) { return []; }
  }
  function write(scans) {
    try {
      window.localStorage.setItem(NAME, JSON.stringify(scans));
      return true;
    } catch (e) { return false; }
  }
  function words(name, n) { return root.getAttribute('data-' + name).replace('{n}', n); }
  function show(element, shown) { if (element) { element.hidden = !shown; } }
  function two(n) { return (n < 10 ? '0' : '') + n; }

  function tell() {
    var scans = read();
    show(at('queue-off'), off);
    show(at('off-line'), off);
    show(at('on-line'), !off);
    if (!waiting) { return; }
    waiting = at('waiting');
    waiting.hidden = !scans.length;
    waiting.textContent = '';
    scans.slice(-20).reverse().forEach(function (scan) {
      var row = document.createElement('li');
      // On the shop's clock, which need not be that of this machine.
      var when = new Date(scan.t + (Number(root.getAttribute('data-offset')) || 0) * 60000);
      row.textContent = two(when.getUTCHours()) + ':' + two(when.getUTCMinutes()) + ' ◔ …' + scan.c.slice(-5, -1) + '-' + scan.c.slice(-1) +
        ' ' + waiting.getAttribute('data-words');
      waiting.appendChild(row);
    });
  }
  function sum() {
    var parts = [];
    if (tally.redeemed) { parts.push(words('done', tally.redeemed)); }
    if (tally.conflict) { parts.push(words(tally.conflict > 1 ? 'conflicts-many' : 'conflicts', tally.conflict)); }
    if (tally.held) { parts.push(words('held', tally.held)); }
    if (!parts.length) { return; }
    done.querySelector('span').textContent = parts.join(document.documentElement.lang === 'en' ? ', ' : '，');
    done.querySelector('a').hidden = !(tally.conflict || tally.held);
    done.classList.toggle('ok', !(tally.conflict || tally.held));
    done.classList.toggle('warn', !!(tally.conflict || tally.held));
    show(done, true);
    tally = {redeemed: 0, conflict: 0, held: 0};
    document.dispatchEvent(new Event('queue:merged'));
  }
  function plan(seconds) {
    window.clearTimeout(timer);
    if (!stopped) { timer = window.setTimeout(send, seconds * 1000); }
  }
  function miss(after) {
    off = true;
    plan(after || wait * (0.8 + Math.random() * 0.4));
    wait = Math.min(LONGEST_S, wait * 2);
    tell();
  }
  function take(results) {
    var settled = {};
    results.forEach(function (one) {
      settled[one.nonce] = true;
      if (one.outcome in tally) { tally[one.outcome] += 1; }
    });
    // Read anew: another window of this till may have kept a scan meanwhile.
    write(read().filter(function (scan) { return !settled[scan.n]; }));
  }
  function send() {
    var part = read().sort(function (a, b) { return a.t - b.t; }).slice(0, AT_ONCE);
    if (!part.length || busy) { tell(); return; }
    busy = true;
    var body = new URLSearchParams();
    body.set('csrf_token', root.getAttribute('data-csrf'));
    body.set('scans', JSON.stringify({sent_at: new Date().toISOString(), scans: part.map(function (scan) {
      var one = {nonce: scan.n, code: scan.c, at: new Date(scan.t).toISOString()};
      if (scan.a) { one.amount_fen = scan.a; }
      if (scan.s) { one.shop = scan.s; }
      return one;
    })}));
    var patience = new AbortController();
    var late = window.setTimeout(function () { patience.abort(); }, 15000);
    fetch(root.getAttribute('data-url'), {
      method: 'POST', body: body, credentials: 'same-origin', cache: 'no-store', signal: patience.signal
    }).then(function (answer) {
      if (answer.ok) {
        return answer.json().then(function (told) {
          off = false;
          wait = 1;
          take(told.results);
          if (read().length) { plan(0); } else { sum(); }
          tell();
        });
      }
      if (answer.status === 401 || answer.status === 400 || answer.status === 403) {
        // Signed out meanwhile: the scans stay until somebody of this place signs in here again.
        stopped = true;
        off = false;
        show(at('queue-login'), true);
        tell();
        return null;
      }
      miss(Number(answer.headers.get('Retry-After')) || 0);
      return null;
    }).catch(function () { miss(0); }).then(function () {
      window.clearTimeout(late);
      busy = false;
    });
  }

  window.drainageQueue = {
    isOff: function () { return off; },
    // What became of it: kept, double (waits already), full, or broken (this browser keeps nothing).
    keep: function (scan) {
      var scans = read();
      off = true;
      var word = 'kept';
      if (scans.some(function (one) { return one.c === scan.c && one.n !== scan.n; })) {
        word = 'double';
      } else if (scans.some(function (one) { return one.n === scan.n; })) {
        word = 'kept';
      } else if (scans.length >= MOST) {
        word = 'full';
      } else if (!write(scans.concat([scan])) || !read().some(function (one) { return one.n === scan.n; })) {
        word = 'broken';
      }
      show(done, false);
      tell();
      if (!busy) { plan(wait); }
      return word;
    },
    tell: tell
  };
  window.addEventListener('online', function () { if (read().length) { wait = 1; plan(0); } });
  window.addEventListener('storage', function (event) { if (event.key === NAME) { tell(); } });
  document.addEventListener('visibilitychange', function () {
    if (!document.hidden && read().length && !busy) { plan(0); }
  });

  // Signing out with a queue is warned of once.
  var leaving = at('queue-leave'), logout = document.querySelector('form[action$="/logout"]');
  if (leaving && logout) {
    logout.addEventListener('submit', function (event) {
      if (!read().length || !leaving.hidden) { return; }
      event.preventDefault();
      leaving.hidden = false;
      leaving.focus();
    });
    leaving.querySelector('button').addEventListener('click', function () { logout.submit(); });
  }
  tell();
  if (read().length) { plan(0); }
}());
