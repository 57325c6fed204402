// A video in pieces: what has come is asked for after every break, so that nothing is sent twice.
(function () {
  'use strict';
  var form = document.querySelector('form[data-upload]');
  var box = document.getElementById('progress');
  if (!form || !box || !window.fetch || !window.Blob || !Blob.prototype.slice) { return; }
  var address = form.getAttribute('data-upload');
  var token = form.querySelector('[name=csrf_token]').value;
  var bar = document.getElementById('bar');
  var said = document.getElementById('said');
  var pause = document.getElementById('pause');
  var words = pause.textContent;
  var file = null, at = 0, piece = 4194304, paused = false, cancelled = false, timer = 0, wait = 1, began = 0, beganAt = 0;

  function share() { return Math.floor(at / file.size * 100); }

  function say(name) {
    var text = box.getAttribute('data-' + name).replace('{p}', share() + '%');
    var spent = (Date.now() - began) / 1000;
    if (name === 'left') { text = text.replace('{n}', String(Math.ceil((file.size - at) / ((at - beganAt) / spent)))); }
    if (said.textContent !== text) { said.textContent = text; }
  }

  function tell() {
    bar.value = share();
    // An estimate is worth nothing in the first moments.
    say(at - beganAt > file.size / 20 && Date.now() - began > 2000 ? 'left' : 'going');
  }

  function stop(name) {
    bar.value = share();
    say(name);
  }

  function retry() {
    stop('waiting');
    timer = window.setTimeout(ask, wait * 1000);
    wait = Math.min(30, wait * 2);
  }

  function ask() {
    fetch(address, {method: 'HEAD', credentials: 'same-origin', cache: 'no-store', headers: {'X-CSRFToken': token}}).then(function (answer) {
      var come = Number(answer.headers.get('Upload-Offset'));
      if (answer.status === 404) { window.location.reload(); return; }
      if (!answer.ok || isNaN(come)) { retry(); return; }
      at = come;
      began = Date.now();
      beganAt = at;
      send();
    }).catch(retry);
  }

  function send() {
    if (cancelled || paused) { return; }
    if (at >= file.size) { stop('done'); window.location.assign(address); return; }
    fetch(address, {
      method: 'PATCH', credentials: 'same-origin', body: file.slice(at, at + piece),
      headers: {'X-CSRFToken': token, 'Upload-Offset': String(at), 'Content-Type': 'application/offset+octet-stream'}
    }).then(function (answer) {
      if (answer.status === 413 || answer.status === 422) { stop('bad'); form.hidden = false; return; }
      if (!answer.ok) { retry(); return; }
      wait = 1;
      at = Number(answer.headers.get('Upload-Offset'));
      tell();
      send();
    }).catch(retry);
  }

  form.addEventListener('submit', function (event) {
    file = document.getElementById('f-video').files[0];
    if (!file) { return; }
    event.preventDefault();
    document.getElementById('file-name').textContent = file.name + ' ' + Math.ceil(file.size / 1e6) + ' MB';
    box.hidden = false;
    form.hidden = true;
    at = 0;
    cancelled = paused = false;
    if (file.size > Number(form.getAttribute('data-largest'))) { stop('bad'); form.hidden = false; return; }
    var asked = new URLSearchParams({
      csrf_token: token, via: 'script', size: String(file.size), type: file.type, consent: document.getElementById('f-consent').checked ? '1' : ''
    });
    fetch(address, {method: 'POST', credentials: 'same-origin', body: asked}).then(function (answer) {
      if (answer.status === 409) { window.location.reload(); return null; }
      if (!answer.ok) { stop('bad'); form.hidden = false; return null; }
      return answer.json().then(function (said_) {
        at = said_.offset;
        piece = said_.piece;
        began = Date.now();
        beganAt = at;
        tell();
        send();
      });
    }).catch(retry);
  });

  pause.addEventListener('click', function () {
    paused = !paused;
    window.clearTimeout(timer);
    if (paused) {
      var again = pause.getAttribute('data-again');
      pause.textContent = again;
      stop('paused');
    } else {
      pause.textContent = words;
      ask();
    }
  });

  document.getElementById('cancel').addEventListener('click', function () {
    cancelled = true;
    window.clearTimeout(timer);
    box.hidden = true;
    form.hidden = false;
  });

  window.addEventListener('online', function () {
    if (file && !paused && !cancelled && !box.hidden && at < file.size) { window.clearTimeout(timer); ask(); }
  });
}());
