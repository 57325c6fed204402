// The grid of pairs: outlines the cells that were changed, counts them beside Save, and mirrors a block.
(function () {
  'use strict';
  var form = document.getElementById('f-pairs');
  if (!form) { return; }
  var cells = Array.prototype.slice.call(form.querySelectorAll('select[data-way]'));
  var said = document.getElementById('changed');

  function twin(cell) {
    var way = cell.name.split('>');
    return form.elements[way[1] + '>' + way[0]];
  }

  function tell() {
    var n = 0;
    cells.forEach(function (cell) {
      var isChanged = cell.value !== cell.getAttribute('data-was');
      cell.classList.toggle('changed', isChanged);
      if (isChanged) { n += 1; }
    });
    if (said) { said.textContent = n ? said.getAttribute('data-words').replace('{n}', n) : ''; }
  }

  form.addEventListener('change', function (event) {
    var cell = event.target;
    if (!cell.hasAttribute('data-way')) { return; }
    var other = twin(cell);
    if (other && cell.value === 'block') { other.value = 'block'; }
    // Lifting a block lifts it both ways.
    if (other && cell.value !== 'block' && other.value === 'block') { other.value = 'allow'; }
    tell();
  });
  tell();
}());
