/** What a page shows, beside what the API gives. */

import { setTimeout as later } from 'node:timers/promises'

/** The exact sizes in a part of the page. */
export const sizes = (page, selector) => page.$$eval(`${selector} data`, (all) => all.map((each) => Number(each.value)))

/** Whether the figure of headroom, which never stands still, is at some time what the server has sent. */
export const showsHeadroom = () =>
  new Promise((resolve) => {
    const source = new EventSource(`/events?key=${localStorage.getItem('plimsoll-key')}`)
    const sent = []
    source.addEventListener('change', ({ data }) => sent.push(JSON.parse(data).moment.headroomBytes))
    const startMs = performance.now()
    const ticks = setInterval(() => {
      const isShown = sent.includes(Number(document.querySelectorAll('#figures data')[3].value))
      if (!isShown && performance.now() - startMs < 60_000) return
      clearInterval(ticks)
      source.close()
      resolve(isShown)
    }, 50)
  })

/** Whether the processes, which are looked for every ten seconds, are at some time those that the API gives. */
export async function showsProcesses(page, dashboard) {
  for (let tries = 0; tries < 60; tries++) {
    const { processes } = await dashboard.state()
    const given = processes.flatMap((of) => [of.rssBytes, of.anonymousBytes, of.shmemBytes])
    const known = given.filter((bytes) => bytes !== undefined)
    if (JSON.stringify(await sizes(page, '#processes')) === JSON.stringify(known)) return true
    await later(500)
  }
  return false
}
