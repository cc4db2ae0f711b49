// Has a program print its figures in full, where it rounds them to two digits.
Number.prototype.toFixed = function () {
  return String(this)
}
