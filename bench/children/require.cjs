require('plimsoll')
