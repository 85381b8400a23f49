/** Own routes given by command: what has to be decided again, so that groups and FIB hear of it. */
import t from 'tap'
import type { Config, StaticOriginate } from '../../src/config/types.js'
import { OwnRoutes } from '../../src/daemon/own-routes.js'
import type { KernelRoute } from '../../src/fib/types.js'
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

t.test(
  'what the kernel loses is announced a moment longer, and goes at once where a reload takes its rule',
  async (t) => {
    const rib = new Rib({ asn: 64512, routerId: 1, clusterId: null, seed: 1, nodeName: 'test', nowSeconds: () => 0 })
    let left = 0
    let onLeft: () => void = () => {}
    const own = new OwnRoutes(
      rib,
      () => {
        left++
        onLeft()
      },
      60,
    )
    t.teardown(() => own.stop())
    const kernel = { kind: 'fromKernel', protocols: [], within: [], interfaces: [], blackhole: null, aggregate: null }
    const config = { originate: [kernel], fib: { protocol: 179 } } as unknown as Config
    const block: KernelRoute = {
      family: 0,
      prefix: '10.5.0.0/26',
      kind: 'blackhole',
      protocol: 80,
      metric: 0,
      table: 254,
      hops: [],
    }
    own.kernelChanged(config, [block])
    const before = own.get(block.prefix)
    own.kernelChanged(config, [])
    t.equal(own.get(block.prefix), before, 'still there')
    own.kernelChanged(config, [block])
    own.kernelChanged(config, [block])
    t.equal(own.get(block.prefix), before, 'back again: nothing has happened')
    const gone = new Promise<void>((resolve) => {
      onLeft = resolve
    })
    const lostMs = performance.now()
    own.kernelChanged(config, [])
    await gone
    t.ok(performance.now() - lostMs >= 59, 'not before its time')
    t.equal(own.get(block.prefix), undefined)
    t.equal(left, 1, 'told once, and not for what came back')

    own.kernelChanged(config, [block])
    own.configure({ ...config, originate: [] }, [block])
    t.equal(own.get(block.prefix), undefined, 'a reload does not wait')
  },
)
