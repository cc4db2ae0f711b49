import { kindNames } from '../pool/block-kind.js'

/** What blocks are filled with, so that their kinds are told apart by stripes, too. A page has it once. */
export const slabFills = [
  '<svg class="fills" aria-hidden="true" width="0" height="0"><defs>',
  '<linearGradient id="transient-fill" x2="0" y2="0.286" spreadMethod="repeat">',
  '<stop class="on-transient" offset="0.5"/><stop class="between" offset="0.5"/></linearGradient>',
  '<linearGradient id="pinned-fill" x2="0" y2="1">',
  '<stop class="on-pinned" offset="0.36"/><stop class="between" offset="0.36"/>',
  '<stop class="between" offset="0.64"/><stop class="on-pinned" offset="0.64"/></linearGradient>',
  '</defs></svg>',
].join('')

/** What the fills of blocks mean. */
export const slabLegend = `<ul class="legend">${Object.entries(kindNames)
  .map(
    ([kind, name]) =>
      `<li><svg class="key" viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true"><rect class="${kind}" width="1" height="1"/></svg>${name}</li>`,
  )
  .join('')}</ul>`
