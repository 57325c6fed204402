// Live parts: <div data-live="/path" data-every="5"> is replaced by what /path answers, when that has changed.
(function () {
  'use strict';
  var LONGEST = 60;
  function two(n) { return (n < 10 ? '0' : '') + n; }

  function Live(part) {
    this.part = part;
    this.every = Number(part.getAttribute('data-every')) || 5;
    this.wait = this.every;
    this.slow = Number(part.getAttribute('data-slow')) || 0;
    this.slowAfter = Number(part.getAttribute('data-slow-after')) || 0;
    this.began = Date.now();
    this.tag = part.getAttribute('data-tag') || '';
    this.misses = 0;
    this.last = new Date();
    this.timer = 0;
    this.busy = false;
    this.stopped = false;
    this.bar = document.getElementById('live-bar');
    this.clock = document.getElementById('live-clock');
    this.tell();
    this.plan(this.every);
  }

  Live.prototype.plan = function (seconds) {
    var self = this;
    window.clearTimeout(this.timer);
    if (!this.stopped) { this.timer = window.setTimeout(function () { self.ask(); }, seconds * 1000); }
  };

  // The time of the last good answer on the shop's clock, which need not be that of this machine.
  Live.prototype.time = function () {
    var offset = Number(this.part.getAttribute('data-offset')) || 0;
    var at = new Date(this.last.getTime() + offset * 60000);
    return two(at.getUTCHours()) + ':' + two(at.getUTCMinutes()) + ':' + two(at.getUTCSeconds());
  };

  Live.prototype.tell = function () {
    if (this.clock) { this.clock.textContent = this.time(); }
  };

  Live.prototype.say = function (words) {
    if (!this.bar) { return; }
    this.bar.hidden = !words;
    // Written only when it changes: a live region must not repeat itself.
    if (words && this.bar.textContent !== words) { this.bar.textContent = words; }
  };

  Live.prototype.hit = function () {
    this.misses = 0;
    this.wait = this.every;
    this.last = new Date();
    // What is looked at for long may be asked for less often.
    if (this.slow && Date.now() - this.began > this.slowAfter * 1000) { this.wait = this.every = this.slow; }
    this.part.classList.remove('stale');
    this.say('');
    this.tell();
  };

  Live.prototype.miss = function (after) {
    this.misses += 1;
    this.wait = after || Math.min(LONGEST, this.wait * 1.6 * (0.8 + Math.random() * 0.4));
    if (this.misses >= 2 && this.bar) {
      this.part.classList.add('stale');
      this.say(this.bar.getAttribute('data-stale').replace('{t}', this.time().slice(0, 5)));
    }
  };

  Live.prototype.swap = function (html) {
    // What a person is reading or typing is not taken from under the hand.
    if (this.part.contains(document.activeElement) || this.part.querySelector('details[open]')) { return false; }
    this.part.innerHTML = html;
    var state = this.part.querySelector('[data-title]');
    if (state) {
      document.title = state.getAttribute('data-title');
      var icon = document.querySelector('link[rel=icon]');
      if (icon && state.getAttribute('data-icon')) { icon.href = state.getAttribute('data-icon'); }
    }
    return true;
  };

  Live.prototype.ask = function () {
    var self = this;
    if (document.hidden || this.busy) { this.plan(this.wait); return; }
    this.busy = true;
    fetch(this.part.getAttribute('data-live'), {
      headers: this.tag ? {'If-None-Match': this.tag} : {}, credentials: 'same-origin', cache: 'no-store'
    }).then(function (answer) {
      if (answer.status === 401) {
        self.stopped = true;
        self.say(self.bar ? self.bar.getAttribute('data-signin') : '');
        return null;
      }
      if (answer.status === 304) { self.hit(); return null; }
      if (!answer.ok) { self.miss(Number(answer.headers.get('Retry-After')) || 0); return null; }
      return answer.text().then(function (html) {
        self.hit();
        if (self.swap(html)) { self.tag = answer.headers.get('ETag') || ''; }
      });
    }).catch(function () { self.miss(0); }).then(function () {
      self.busy = false;
      self.plan(self.wait);
    });
  };

  var lives = Array.prototype.map.call(document.querySelectorAll('[data-live]'), function (part) { return new Live(part); });
  document.addEventListener('visibilitychange', function () {
    if (!document.hidden) { lives.forEach(function (live) { live.plan(0); }); }
  });
}());
