import chart from 'uplot/dist/uPlot.iife.min.js?text'
import chartStyle from 'uplot/dist/uPlot.min.css?text'
import licence from 'uplot/LICENSE?text'
import base from '../report/base.css?text'
import { filledIn, sourceOf } from '../report/html.js'
import slabs from '../report/slabs.css?text'
import { slabFills, slabLegend } from '../report/slabs.js'
import own from './page/page.css?text'
import template from './page/page.html?text'
import script from './page/page.js?script'

const style = [base, slabs, chartStyle, own].join('\n')

/** The page and its policy: nothing is loaded from elsewhere, and nothing is run but the two scripts in it. */
export interface DashboardPage {
  html: string
  policy: string
}

/** @internal */
export function dashboardPage(): DashboardPage {
  const scripts = `script-src ${sourceOf(chart)} ${sourceOf(script)}`
  const policy = [
    "default-src 'none'",
    `style-src ${sourceOf(style)}`,
    scripts,
    "connect-src 'self'",
    // The icon, which is none.
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
  return { html: filledIn(template, { style, fills: slabFills, legend: slabLegend, licence, chart, script }), policy }
}
