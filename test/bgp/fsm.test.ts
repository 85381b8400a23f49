import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { FSM_EVENTS, FSM_STATES, type FsmEvent, fsmCell, printFsm } from '../../src/bgp/fsm.js'
import { projectRoot } from '../support/root.js'

/**
 * What RFC 4271 §8.2.2 says, event by event: the next states from Idle, Connect, Active, OpenSent, OpenConfirm, Established, and the
 * NOTIFICATION sent on the way (g: the one that the event carries). Written apart from the table.
 */
const EXPECTED: { readonly [event in FsmEvent]: string } = {
  manualStart: 'Connect Connect Active OpenSent OpenConfirm Established',
  manualStop: 'Idle Idle Idle Idle/g Idle/g Idle/g',
  automaticStart: 'Connect Connect Active OpenSent OpenConfirm Established',
  manualStartPassive: 'Active Connect Active OpenSent OpenConfirm Established',
  automaticStartPassive: 'Active Connect Active OpenSent OpenConfirm Established',
  automaticStartDamped: 'Connect Connect Active OpenSent OpenConfirm Established',
  automaticStartDampedPassive: 'Active Connect Active OpenSent OpenConfirm Established',
  automaticStop: 'Idle Idle Idle Idle/g Idle/g Idle/g',
  connectRetryTimerExpires: 'Idle Connect Connect Idle/51 Idle/52 Idle/53',
  holdTimerExpires: 'Idle Idle Idle Idle/40 Idle/40 Idle/40',
  keepaliveTimerExpires: 'Idle Idle Idle Idle/51 OpenConfirm Established',
  delayOpenTimerExpires: 'Idle Idle Idle Idle/51 Idle/52 Idle/53',
  idleHoldTimerExpires: 'Connect Idle Idle Idle/51 Idle/52 Idle/53',
  tcpConnectionValid: 'Idle Connect Active OpenSent OpenConfirm Established',
  tcpConnectionInvalid: 'Idle Connect Active OpenSent OpenConfirm Established',
  tcpConnectionAcked: 'Idle OpenSent OpenSent OpenSent OpenConfirm Established',
  tcpConnectionConfirmed: 'Idle OpenSent OpenSent OpenSent OpenConfirm Established',
  tcpConnectionFails: 'Idle Active Idle Active Idle Idle',
  openReceived: 'Idle Idle Idle OpenConfirm Idle/52 Idle/53',
  openReceivedDelayed: 'Idle Idle Idle Idle/51 Idle/52 Idle/53',
  headerError: 'Idle Idle Idle Idle/g Idle/g Idle/g',
  openError: 'Idle Idle Idle Idle/g Idle/g Idle/g',
  collisionDump: 'Idle Idle Idle Idle/g Idle/g Idle/g',
  notificationVersionError: 'Idle Idle Idle Idle Idle Idle',
  notificationReceived: 'Idle Idle Idle Idle Idle Idle',
  keepaliveReceived: 'Idle Idle Idle Idle/51 Established Established',
  updateReceived: 'Idle Idle Idle Idle/51 Idle/52 Established',
  updateError: 'Idle Idle Idle Idle/51 Idle/52 Idle/g',
  sendHoldTimerExpires: 'Idle Idle Idle Idle/51 Idle/52 Idle/80',
  routeRefreshReceived: 'Idle Idle Idle Idle/51 Idle/52 Established',
}

const events = Object.keys(FSM_EVENTS) as FsmEvent[]

t.test('every state and event leads where RFC 4271 §8.2.2 says, with its NOTIFICATION', async (t) => {
  t.equal(events.length, 30, '28 events of RFC 4271, RFC 9687, ROUTE-REFRESH')
  for (const event of events) {
    const row = FSM_STATES.map((state) => {
      const { next, actions } = fsmCell(state, event)
      const sent = actions.find((action) => /^send (given|\d)/.test(action))?.replace(/send |\//g, '')
      return sent === undefined ? next : `${next}/${sent === 'given' ? 'g' : sent}`
    })
    t.equal(row.join(' '), EXPECTED[event], event)
  }
})

t.test('events 1 to 29 are all there, once each', async (t) => {
  const numbers = events.map((event) => FSM_EVENTS[event].number).sort((a, b) => a - b)
  t.same(
    numbers,
    Array.from({ length: 30 }, (_, i) => i),
  )
})

t.test('rules that hold for every cell', async (t) => {
  for (const state of FSM_STATES) {
    for (const event of events) {
      const { next, actions } = fsmCell(state, event)
      const name = `${state}, ${event}`
      const ends = actions.includes('close') || actions.includes('reset')
      const notifies = actions.some((action) => /^send (given|\d)/.test(action))
      if (next === 'Idle' && state !== 'Idle') t.ok(ends, `${name}: going Idle ends the connection`)
      if (next === 'Idle' && state !== 'Idle') t.ok(actions.includes('stop connectRetry'), `${name}: and ConnectRetry`)
      if (notifies) t.equal(next, 'Idle', `${name}: a NOTIFICATION ends the session`)
      if (notifies) t.ok(['OpenSent', 'OpenConfirm', 'Established'].includes(state), `${name}: and needs a connection`)
      if (next === 'Established' && state !== 'Established') t.equal(event, 'keepaliveReceived', name)
      if (state === 'Idle' && next === 'Idle') t.equal(actions.length, 0, `${name}: Idle does nothing`)
      t.ok(Object.isFrozen(actions), `${name}: shared, so frozen`)
    }
  }
})

t.test('docs/fsm.md is the print of the table', async (t) => {
  t.equal(
    readFileSync(join(projectRoot, 'docs/fsm.md'), 'utf8'),
    printFsm(),
    'update it with: node scripts/print-fsm.mjs > docs/fsm.md',
  )
})
