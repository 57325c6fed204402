// Redeem page: a keyboard-wedge scanner's code sends itself, and the camera reads QR codes where the browser really can.
(function () {
  'use strict';
  var ALPHABET = '23456789ABCDEFGHJKMNPQRSTUVWXYZ';
  var LENGTH = 13;
  var form = document.getElementById('scan');
  if (!form) { return; }
  var field = form.querySelector('[name=code]');
  var fault = document.getElementById('code-fault');
  var sent = false;

  // The same folding and check sum as the server's: full-width forms, case, dashes and spaces are only form.
  function plain(text) {
    var address = /\/v\/([^/?#]+)/.exec(text);
    return (address ? address[1] : text).normalize('NFKC').replace(/[\s\u2010-\u2015\u2212-]/g, '').toUpperCase();
  }
  function holds(code) {
    var sum = 0;
    for (var place = 0; place < LENGTH; place += 1) {
      var value = ALPHABET.indexOf(code.charAt(place));
      if (value < 0) { return false; }
      sum += value * (place + 1);
    }
    return sum % ALPHABET.length === 0;
  }
  function take(text) {
    var code = plain(text);
    var whole = code.length === LENGTH;
    var wrong = whole && !holds(code);
    fault.hidden = !wrong;
    field.setAttribute('aria-invalid', wrong ? 'true' : 'false');
    if (whole && !wrong && !sent) {
      sent = true;
      field.value = code;
      form.submit();
    }
    return whole && !wrong;
  }
  field.addEventListener('input', function () { take(field.value); });
  form.addEventListener('submit', function (event) {
    if (sent) { event.preventDefault(); }
    sent = true;
  });
  window.addEventListener('pageshow', function (event) { if (event.persisted) { location.reload(); } });
  // A scanner types wherever the focus is: while nothing else is in use, that must be the field.
  document.addEventListener('keydown', function (event) {
    var target = event.target;
    if (target === document.body && event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) { field.focus(); }
  });

  var button = document.getElementById('camera');
  var view = document.getElementById('view');
  var refused = document.getElementById('no-camera');
  if (!button || !('BarcodeDetector' in window) || !navigator.mediaDevices) { return; }

  // Some browsers have the name without the function: only a list with QR and a detection that runs count.
  window.BarcodeDetector.getSupportedFormats().then(function (formats) {
    if (formats.indexOf('qr_code') < 0) { return null; }
    var trial = document.createElement('canvas');
    trial.width = trial.height = 8;
    var detector = new window.BarcodeDetector({formats: ['qr_code']});
    return detector.detect(trial).then(function () { offer(detector); });
  }).catch(function () { button.hidden = true; });

  function offer(detector) {
    button.hidden = false;
    button.addEventListener('click', function () {
      navigator.mediaDevices.getUserMedia({video: {facingMode: 'environment'}, audio: false}).then(function (stream) {
        button.hidden = true;
        view.hidden = false;
        view.srcObject = stream;
        view.play();
        look(detector, stream);
      }, function () {
        button.hidden = true;
        refused.hidden = false;
      });
    });
  }
  function look(detector, stream) {
    detector.detect(view).then(function (found) {
      return found.some(function (code) { return take(code.rawValue); });
    }, function () { return false; }).then(function (done) {
      if (done) {
        stream.getTracks().forEach(function (track) { track.stop(); });
      } else {
        window.setTimeout(function () { look(detector, stream); }, 250);
      }
    });
  }
}());
