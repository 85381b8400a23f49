/** Own routes given by command: what has to be decided again, so that groups and FIB hear of it. */
import t from 'tap'
import type { StaticOriginate } from '../../src/config/types.js'
import { OwnRoutes } from '../../src/daemon/own-routes.js'
import { parsePrefix } from '../../src/net/prefix.js'
import { Rib } from '../../src/rib/rib.js'

function rule(changes: Partial<StaticOriginate>): StaticOriginate {
  const prefix = parsePrefix('10.5.0.0/24')
  return {
    kind: 'static',
    prefix,
    blackhole: false,
    nextHop: null,
    med: null,
    localPref: null,
    communities: [],
    ...changes,
  }
}

t.test('a prefix is decided again when its attributes or its blackhole change, and only then', async (t) => {
  const rib = new Rib({ asn: 64512, routerId: 1, clusterId: null, seed: 1, nodeName: 'test', nowSeconds: () => 0 })
  const own = new OwnRoutes(rib)
  const decided = (change: () => void): number => {
    change()
    const count = rib.decide(0)
    rib.finish(0, count)
    return count
  }
  t.equal(
    decided(() => own.announce(rule({}))),
    1,
    'new',
  )
  t.equal(
    decided(() => own.announce(rule({}))),
    0,
    'the same again',
  )
  t.equal(
    decided(() => own.announce(rule({ blackhole: true }))),
    1,
    'with a blackhole',
  )
  t.equal(own.get('10.5.0.0/24')?.blackhole, true)
  t.equal(
    decided(() => own.announce(rule({ blackhole: true }))),
    0,
    'the same again',
  )
  t.equal(
    decided(() => own.announce(rule({}))),
    1,
    'without',
  )
  t.equal(
    decided(() => own.announce(rule({ med: 5 }))),
    1,
    'another MED',
  )
  t.equal(
    decided(() => void own.withdraw('10.5.0.0/24')),
    1,
    'withdrawn',
  )
})
