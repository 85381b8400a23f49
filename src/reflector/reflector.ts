/**
 * All update groups: which group a peer belongs to, what a batch of changed prefixes means for each, and whose turn it is to be sent something.
 */
import type { Family } from '../net/family.js'
import type { AttributeStore } from '../rib/attribute-store.js'
import type { CompiledPolicy } from '../rib/policy-types.js'
import type { Rib } from '../rib/rib.js'
import { SourceKind } from '../rib/source.js'
import type { GroupLimits } from './delivery.js'
import type { ExporterOptions } from './exporter.js'
import type { Member, MemberLink } from './member.js'
import { UpdateGroup } from './update-group.js'

export class Reflector {
  readonly #rib: Rib
  readonly #limits: GroupLimits
  readonly #seed: number
  readonly #groups = new Map<string, UpdateGroup>()
  #queue: { readonly group: UpdateGroup; readonly member: Member }[] = []
  /** Groups without members, being given up in slices. */
  readonly #closing: UpdateGroup[] = []
  #nextGroup = 1
  /** Called when there is something to do and nothing was before. */
  onWork: () => void = () => {}
  /** Attributes of a route do not fit into a message of this group. */
  onTooLong: (group: UpdateGroup) => void = () => {}

  constructor(rib: Rib, seed: number, limits: GroupLimits = DEFAULT_LIMITS) {
    this.#rib = rib
    this.#seed = seed
    this.#limits = limits
    const store: AttributeStore = rib.store
    store.onFree((id) => {
      for (const group of this.#groups.values()) group.exporter.forget(id)
      for (const group of this.#closing) group.exporter.forget(id)
    })
  }

  groups(): Iterable<UpdateGroup> {
    return this.#groups.values()
  }

  /** The peer of this source becomes a member of the group with these options. */
  join(source: number, name: string, options: ExporterOptions, link: MemberLink): GroupMember {
    const group = this.#groupFor(options)
    return { group, member: group.join(source, name, link) }
  }

  leave({ group, member }: GroupMember): void {
    group.leave(member)
    this.#closeIfEmpty(group)
  }

  /** A reload changed what the peer is to hear. The same group where the options are equal. */
  move(from: GroupMember, options: ExporterOptions): GroupMember {
    const group = this.#groupFor(options)
    if (group === from.group) return from
    const member = group.adopt(from.member, from.group)
    this.#closeIfEmpty(from.group)
    return { group, member }
  }

  /** The winners of these prefixes may have changed. */
  change(family: Family, ids: Int32Array, count: number): void {
    for (const group of this.#groups.values()) if (group.family === family) group.change(ids, count)
  }

  get hasTableWork(): boolean {
    if (this.#closing.length > 0) return true
    for (const group of this.#groups.values()) if (group.hasTableWork) return true
    return false
  }

  /** One slice of table for each group that is being filled or given up. */
  tableSlices(): void {
    for (const group of this.#groups.values()) if (group.hasTableWork) group.tableSlice()
    if (this.#closing[0]?.closeSlice() === true) this.#closing.shift()
  }

  get hasQueue(): boolean {
    return this.#queue.length > 0
  }

  /** Sends to waiting members until `isOver` says that the slice of time is used up. */
  pump(isOver: () => boolean): void {
    const queue = this.#queue
    this.#queue = []
    let at = 0
    while (at < queue.length) {
      const { group, member } = queue[at++]!
      member.queued = false
      group.pump(member)
      if ((at & 3) === 0 && isOver()) break
    }
    if (at < queue.length) this.#queue = queue.slice(at).concat(this.#queue)
  }

  #groupFor(options: ExporterOptions): UpdateGroup {
    const key = groupKey(options)
    let group = this.#groups.get(key)
    if (group === undefined) {
      const context = {
        tables: this.#rib.tables[options.family]!,
        store: this.#rib.store,
        source: (index: number) => this.#rib.source(index),
        tableWork: () => this.onWork(),
        tooLong: (group: UpdateGroup) => this.onTooLong(group),
        wake: (woken: UpdateGroup, member: Member) => this.#wake(woken, member),
      }
      group = new UpdateGroup(this.#nextGroup++, key, options, context, this.#limits, this.#seed)
      this.#groups.set(key, group)
      this.onWork()
    }
    return group
  }

  #closeIfEmpty(group: UpdateGroup): void {
    if (group.members.size > 0) return
    this.#groups.delete(group.key)
    this.#closing.push(group)
    this.onWork()
  }

  #wake(group: UpdateGroup, member: Member): void {
    if (member.queued) return
    member.queued = true
    this.#queue.push({ group, member })
    if (this.#queue.length === 1) this.onWork()
  }
}

export interface GroupMember {
  readonly group: UpdateGroup
  readonly member: Member
}

/** Everything that changes what is sent or how. A test flips each option and expects another key. */
export function groupKey(options: ExporterOptions): string {
  return [
    `family=${options.family}`,
    `kind=${options.kind}`,
    `localAsn=${options.localAsn}`,
    `cluster=${options.clusterId}`,
    `as4=${options.as4}`,
    `max=${options.maxMessageOctets}`,
    `paths=${options.sendPaths}`,
    `extendedNextHop=${options.extendedNextHop}`,
    `zone=${options.zone}`,
    `role=${options.role ?? '-'}`,
    `self=${options.selfNextHop === null ? '-' : Buffer.from(options.selfNextHop).toString('hex')}`,
    `subnet=${options.sharedSubnet === null ? '-' : `${Buffer.from(options.sharedSubnet.address).toString('hex')}/${options.sharedSubnet.length}`}`,
    `nextHopSelf=${options.nextHopSelf}`,
    `nextHopKeep=${options.nextHopKeep}`,
    `communities=${options.sendCommunities}`,
    ...pathKeys(options),
    `llgr=${options.longLived === true}`,
    `export=${policyKey(options.exportPolicy)}`,
  ].join(' ')
}

/** Shown only where they say something. */
function pathKeys(options: ExporterOptions): string[] {
  const { asPath, routeServerClient, tunnelEncapsulation, gracefulShutdown, kind } = options
  return [
    ...(asPath.innerAsn === 0 ? [] : [`inner=${asPath.innerAsn}`]),
    ...(asPath.peerAsn === 0 ? [] : [`peerAsn=${asPath.peerAsn}`]),
    ...(asPath.override ? ['asOverride'] : []),
    ...(asPath.removePrivate ? ['removePrivateAs'] : []),
    ...(routeServerClient ? ['routeServerClient'] : []),
    ...(tunnelEncapsulation === (kind !== SourceKind.EBGP) ? [] : [`tunnelEncapsulation=${tunnelEncapsulation}`]),
    ...(gracefulShutdown ? ['gracefulShutdown'] : []),
  ]
}

function policyKey(policy: CompiledPolicy | 'none' | null): string {
  if (policy === null || policy === 'none') return policy ?? 'all'
  let number = policyNumbers.get(policy)
  if (number === undefined) {
    number = ++lastPolicyNumber
    policyNumbers.set(policy, number)
  }
  return `${policy.name}#${number}`
}

const policyNumbers = new WeakMap<CompiledPolicy, number>()
let lastPolicyNumber = 0

export const DEFAULT_LIMITS: GroupLimits = Object.freeze({ logOctets: 32 << 20, windowOctets: 256 << 10 })
