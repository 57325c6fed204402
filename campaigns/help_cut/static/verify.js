// Makes the split of red packets anew from what was told, and says whether it is the one that was committed to.
(function () {
  'use strict';
  var verdict = document.getElementById('verdict');
  // Without these (an old browser, a page without https) the steps below the button-free page do it by hand.
  if (!verdict || typeof BigInt === 'undefined' || !window.crypto || !window.crypto.subtle) { return; }
  function told(id) { return document.getElementById(id).textContent.trim(); }
  function number(name) { return Number(verdict.getAttribute('data-' + name)); }

  function bytes(hex) {
    var out = new Uint8Array(hex.length / 2);
    for (var i = 0; i < out.length; i += 1) { out[i] = parseInt(hex.slice(2 * i, 2 * i + 2), 16); }
    return out;
  }

  function hex(buffer) {
    return Array.prototype.map.call(new Uint8Array(buffer), function (byte) {
      return (byte < 16 ? '0' : '') + byte.toString(16);
    }).join('');
  }

  function sha256(data) { return window.crypto.subtle.digest('SHA-256', data).then(hex); }

  var head = bytes(told('seed') + told('salt'));
  var count = 0;
  var all = BigInt(2) ** BigInt(256);

  // One of low … high, each as likely: what lies above the largest multiple of the span is thrown away.
  function between(low, high) {
    var span = BigInt(high - low + 1);
    var block = new Uint8Array(head.length + 8);
    block.set(head);
    new DataView(block.buffer).setUint32(head.length + 4, count);
    count += 1;
    return sha256(block).then(function (digest) {
      var drawn = BigInt('0x' + digest);
      return drawn < all / span * span ? low + Number(drawn % span) : between(low, high);
    });
  }

  function split(packets, floor, cap, total) {
    var made = [];
    function next(rest) {
      var after = packets - 1 - made.length;
      if (after < 0) { return Promise.resolve(made); }
      if (total === null) {
        return between(floor, cap).then(function (fen) { made.push(fen); return next(0); });
      }
      if (after === 0) { made.push(rest); return Promise.resolve(made); }
      var low = Math.max(floor, rest - after * cap);
      var high = Math.min(cap, rest - after * floor, 2 * Math.floor(rest / (after + 1)));
      return between(low, Math.max(low, high)).then(function (fen) { made.push(fen); return next(rest - fen); });
    }
    return next(total);
  }

  var total = verdict.getAttribute('data-total');
  var line = told('seed') + ':' + told('salt') + ':' + told('split');
  Promise.all([
    sha256(new TextEncoder().encode(line)),
    split(number('packets'), number('floor'), number('cap'), total ? Number(total) : null)
  ]).then(function (found) {
    var good = found[0] === told('commitment') && found[1].join(',') === told('split');
    verdict.textContent = verdict.getAttribute(good ? 'data-good' : 'data-bad');
    verdict.className = good ? 'notice ok' : 'notice bad';
    verdict.hidden = false;
  }).catch(function () { verdict.hidden = true; });
}());
