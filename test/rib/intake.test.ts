/** What a neighbour's settings make of its routes behind the import policy. */
import t from 'tap'
import { formatAsPath } from '../../src/bgp/attributes/as-path.js'
import { formatCommunities, parseCommunity } from '../../src/bgp/attributes/text.js'
import { octetsOfU32 } from '../../src/net/address.js'
import { Family } from '../../src/net/family.js'
import { type IntakeRules, PLAIN_INTAKE } from '../../src/rib/intake.js'
import { PathState } from '../../src/rib/path-state.js'
import { type RibSource, SourceKind, type SourceOptions } from '../../src/rib/source.js'
import { attributesWith, sequence } from '../reflector/given.js'
import { announceBytes } from '../support/update-bytes.js'
import { policy, prefixMatch, RibWorld } from './given.js'

const PREFIX = '10.1.0.0/16'
const SHUTDOWN = octetsOfU32(parseCommunity('graceful-shutdown'))

function given(intake: Partial<IntakeRules>, more: Partial<SourceOptions> = {}) {
  const world = new RibWorld()
  const options = { kind: SourceKind.EBGP, asn: 65100, intake: { ...PLAIN_INTAKE, ...intake }, ...more }
  const source = world.source(options)
  const receive = (attributes: Parameters<typeof attributesWith>[0]): void =>
    world.receive(source, announceBytes([PREFIX], attributesWith({ localPref: -1, ...attributes }), true))
  return { world, source, receive, ...reader(world, source) }
}

function reader(world: RibWorld, source: RibSource) {
  const { paths } = world.rib.tables[Family.IPV4_UNICAST]!
  const path = (): number => world.path(source, PREFIX)
  return {
    path,
    state: (): number => paths.state[path()]!,
    weight: (): number => paths.weight[path()]!,
    attributes: () => world.rib.store.attributes(world.rib.store.get(paths.effective[path()]!)),
    again: (intake: Partial<IntakeRules>): void => {
      source.options = { ...source.options, intake: { ...source.options.intake, ...intake } }
      world.input.judgeAgain(Family.IPV4_UNICAST, new Set([source.index]), 1, 1000)
      world.rib.store.sweep()
    },
  }
}

t.test(
  'enforceFirstAs: a path that begins with another AS is used only without it, and a reload is enough',
  async (t) => {
    const { receive, state, again } = given({ enforceFirstAs: true })
    receive({ asPath: sequence(65109, 65100) })
    t.equal(state(), PathState.FIRST_AS)
    again({ enforceFirstAs: false })
    t.equal(state(), PathState.USABLE)
    again({ enforceFirstAs: true })
    t.equal(state(), PathState.FIRST_AS)
    again({ enforceFirstAs: false })
    receive({ asPath: new Uint8Array(0) })
    t.equal(state(), PathState.FIRST_AS, 'an external path without any AS is never used')
  },
)

t.test('localAsn in front of what is received (RFC 7705 §3.1)', async (t) => {
  const { receive, attributes, state, again } = given({ prependAsn: 64999 }, { localAsn: 64999 })
  receive({ asPath: sequence(65100, 65101) })
  t.equal(formatAsPath(attributes().asPath!), '64999 65100 65101')
  again({ prependAsn: 0 })
  t.equal(formatAsPath(attributes().asPath!), '65100 65101')
  receive({ asPath: sequence(65100, 64999) })
  t.equal(state(), PathState.AS_LOOP, 'localAsn counts as ours')
})

t.test('allowOwnAs counts our AS and localAsn together', async (t) => {
  const { receive, state } = given({}, { localAsn: 64999, allowOwnAs: 2 })
  receive({ asPath: sequence(65100, 65000, 64999) })
  t.equal(state(), PathState.USABLE)
  receive({ asPath: sequence(65100, 65000, 64999, 65000) })
  t.equal(state(), PathState.AS_LOOP)
})

t.test('GRACEFUL_SHUTDOWN: LOCAL_PREF 0 behind the policy, where it is honoured (RFC 8326 §4.1)', async (t) => {
  const importPolicy = policy([{}, 'accept', { localPref: 300 }])
  const { receive, attributes, again } = given({ honorGracefulShutdown: true }, { importPolicy })
  receive({ asPath: sequence(65100), communities: SHUTDOWN })
  t.equal(attributes().localPref, 0)
  again({ honorGracefulShutdown: false })
  t.equal(attributes().localPref, 300)
  again({ honorGracefulShutdown: true })
  receive({ asPath: sequence(65100) })
  t.equal(attributes().localPref, 300, 'without the community it stays')
})

t.test('a policy that reads the prefix: the same', async (t) => {
  const importPolicy = policy([{ prefix: prefixMatch('10.0.0.0/8', 8, 24) }, 'accept'])
  t.ok(importPolicy.readsPrefix)
  const { receive, attributes } = given({ prependAsn: 64999 }, { importPolicy })
  receive({ asPath: sequence(65100) })
  t.equal(formatAsPath(attributes().asPath!), '64999 65100')
})

t.test('a session that is about to go: the last choice, says so to others, and back', async (t) => {
  const { receive, attributes, weight, again } = given({}, { weight: 7 })
  receive({ asPath: sequence(65100) })
  t.equal(weight(), 7)
  again({ drained: true })
  t.equal(attributes().localPref, 0)
  t.same(formatCommunities(attributes().communities!), ['65535:0'])
  t.equal(weight(), 0, 'weight would come before LOCAL_PREF')
  again({ drained: false })
  t.equal(weight(), 7)
  t.equal(attributes().communities, null)
})
