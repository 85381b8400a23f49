/** RFC 9234 §5: what OTC does on the way in and out, by our role towards each neighbour. */
import t from 'tap'
import { ROLE_NAMES, Role, type RoleName } from '../../src/bgp/capabilities/offer.js'
import { PathState } from '../../src/rib/path-state.js'
import { SourceKind } from '../../src/rib/source.js'
import { announceBytes } from '../support/update-bytes.js'
import { ASN, attributesWith, GroupWorld, type PeerSocket, sequence } from './given.js'

const LIMITS = { logOctets: 1 << 20, windowOctets: 1 << 20 }
const PREFIX = '10.1.0.0/16'

class RoleWorld extends GroupWorld {
  constructor() {
    super(LIMITS)
  }

  /** An external peer for which we are `role`; null: no roles. */
  external(name: string, role: RoleName | null): PeerSocket {
    return this.up(name, { kind: SourceKind.EBGP, role: role === null ? null : roleOf(role) })
  }

  announce(from: PeerSocket, otc: number | null): void {
    const others =
      otc === null ? [] : [{ type: 35, flags: 0xc0, value: Uint8Array.of(otc >>> 24, otc >>> 16, otc >>> 8, otc) }]
    const external = from.source.isEbgp
    const given = {
      asPath: external ? sequence(from.source.options.asn) : new Uint8Array(0),
      localPref: external ? -1 : 100,
    }
    this.send(from, announceBytes([PREFIX], attributesWith({ ...given, others })))
    this.quiet()
  }
}

function roleOf(name: RoleName): Role {
  return ROLE_NAMES.indexOf(name) as Role
}

/** AS in OTC of what a peer has heard, 0 without one, null where it heard nothing. */
function heard(socket: PeerSocket): number | null {
  const attributes = socket.receiver.routes.get(`0 ${PREFIX}`)
  if (attributes === undefined) return null
  const at = attributes.indexOf('c02304')
  return at === -1 ? 0 : Number.parseInt(attributes.slice(at + 6, at + 14), 16)
}

function state(world: GroupWorld, from: PeerSocket): number {
  return world.rib.tables[0]!.paths.state[from.source.head[0]!]!
}

t.test('ingress: a leak is not used', async (t) => {
  const cases: [role: RoleName | null, otc: number | 'their AS' | null, leak: boolean][] = [
    ['provider', null, false],
    ['provider', 65009, true],
    ['rs', null, false],
    ['rs', 65009, true],
    ['peer', null, false],
    ['peer', 'their AS', false],
    ['peer', 65009, true],
    ['customer', 65009, false],
    ['rs-client', 65009, false],
    [null, 65009, false],
  ]
  for (const [role, otc, leak] of cases) {
    const world = new RoleWorld()
    const from = world.external('from', role)
    const to = world.up('internal')
    world.announce(from, otc === 'their AS' ? from.source.options.asn : otc)
    t.equal(state(world, from) === PathState.ROUTE_LEAK, leak, `we are ${role}, OTC ${otc}`)
    t.equal(heard(to) === null, leak)
  }
})

t.test('ingress: what comes from a provider, peer or route server carries its AS from then on', async (t) => {
  for (const role of ['customer', 'peer', 'rs-client', 'provider', 'rs', null] as const) {
    const world = new RoleWorld()
    const from = world.external('from', role)
    const [internal, plain] = [world.up('internal'), world.external('plain', null)]
    world.announce(from, null)
    const added = role === 'customer' || role === 'peer' || role === 'rs-client' ? from.source.options.asn : 0
    t.equal(heard(internal), added, `internal, from where we are ${role}`)
    t.equal(heard(plain), added, `external without role, from where we are ${role}`)
  }
})

t.test('egress: with OTC only to customers, without it OTC is added', async (t) => {
  for (const role of ROLE_NAMES) {
    for (const otc of [null, 65009]) {
      const world = new RoleWorld()
      const from = world.up('internal')
      const to = world.external('to', role)
      world.announce(from, otc)
      const downwards = role === 'provider' || role === 'rs'
      const expected = otc === null ? (downwards || role === 'peer' ? ASN : 0) : downwards ? otc : null
      t.equal(heard(to), expected, `we are ${role}, OTC ${otc}`)
    }
  }
})

t.test('a route of a provider does not go to another one, and explain says why', async (t) => {
  const world = new RoleWorld()
  const from = world.external('from', 'customer')
  const to = world.external('to', 'customer')
  const customer = world.external('customer', 'provider')
  world.announce(from, null)
  t.equal(heard(to), null)
  t.equal(heard(customer), from.source.options.asn)
  const { paths, prefixes } = world.rib.tables[0]!
  const path = from.source.head[0]!
  const set = world.rib.store.get(paths.effective[path]!)
  t.match(to.member.group.exporter.refusal(set, from.source, prefixes, paths.prefix[path]!), /OTC.*RFC 9234/)
})

t.test('sources that differ in what OTC they imply do not share a memo', async (t) => {
  const world = new RoleWorld()
  const [plain, provider] = [world.external('plain', null), world.external('provider', 'customer')]
  const to = world.external('to', 'customer')
  const bytes = (prefix: string): Uint8Array =>
    announceBytes([prefix], attributesWith({ asPath: sequence(65101), localPref: -1 }))
  plain.source.options = { ...plain.source.options, asn: 65101 }
  provider.source.options = { ...provider.source.options, asn: 65101 }
  world.send(plain, bytes('10.3.0.0/16'))
  world.send(provider, bytes('10.4.0.0/16'))
  world.quiet()
  t.same([...to.receiver.routes.keys()], ['0 10.3.0.0/16'])
  t.equal(provider.source.options.role, Role.CUSTOMER)
})
