/**
 * What the fuzzer sends: an OPEN where a session waits for one, KEEPALIVEs where it waits for these, else mostly UPDATEs, valid and mutated, mixed with the
 * fixtures, other messages and noise. A new kind of message is a new line in `#established`.
 */

import { SourceKind } from '../src/rib/source.js'
import { type Dialect, generateNotification, generateOpen, generateRefresh, generateUpdate } from './generate.js'
import { mutateHeader, mutateMessage, mutateTree } from './mutate.js'
import { neededCapabilities, SENDERS, type Sender } from './peers.js'
import type { Random } from './random.js'
import type { MessageSource, Step } from './step.js'
import { concat, messageOf, NONE, readTree, type UpdateTree, withHeader, writeTree } from './update-tree.js'

/** Where a sender's session stands, as far as a source needs it. */
export interface SenderView {
  readonly state: string
  readonly as4: boolean
  readonly addPath: number
}

export class MixedSource implements MessageSource {
  readonly #random: Random
  readonly #senders: readonly SenderView[]
  readonly #seeds: readonly Uint8Array[]
  readonly #updates: readonly Uint8Array[]

  /** `seeds`: whole messages, from fixtures. */
  constructor(random: Random, senders: readonly SenderView[], seeds: readonly Uint8Array[]) {
    this.#random = random
    this.#senders = senders
    this.#seeds = seeds
    this.#updates = seeds.filter((seed) => seed[18] === 2)
  }

  next(): Step {
    const random = this.#random
    const sender = random.below(SENDERS.length)
    const bytes = this.#bytes(SENDERS[sender]!, this.#senders[sender]!)
    const cut = random.oneIn(25) ? 1 + random.below(40) : 0
    return { sender, bytes, cut: bytes.length > 2000 ? 0 : cut }
  }

  #bytes(sender: Sender, view: SenderView): Uint8Array {
    const random = this.#random
    switch (view.state) {
      case 'Established':
        return this.#established(sender, view)
      case 'OpenConfirm':
        return random.oneIn(20) ? this.#other() : KEEPALIVE
      default: {
        const open = generateOpen(random, sender.asn, 0x0a090900 + random.below(6), neededCapabilities(sender))
        if (random.oneIn(8)) return random.oneIn(4) ? this.#other() : mutateMessage(random, open)
        // What follows at once shows that nothing is lost between the states.
        return random.oneIn(4)
          ? concat(open, KEEPALIVE, this.#update(dialectOf(sender, view), 0))
          : concat(open, KEEPALIVE)
      }
    }
  }

  #established(sender: Sender, view: SenderView): Uint8Array {
    const random = this.#random
    const dialect = dialectOf(sender, view)
    const kind = random.below(1000)
    if (kind < 480) return this.#update(dialect, 0)
    if (kind < 880) return this.#update(dialect, 1 + random.below(3))
    if (kind < 920) return random.pick(this.#updates)
    if (kind < 950) return mutateMessage(random, random.pick(this.#updates))
    if (kind < 955) return mutateHeader(random, this.#update(dialect, 0))
    if (kind < 965) return concat(this.#update(dialect, 0), this.#update(dialect, 1), this.#update(dialect, 0))
    if (kind < 972 && sender.extendedMessages) return this.#large(dialect)
    return this.#other()
  }

  #update(dialect: Dialect, mutations: number): Uint8Array {
    const tree = generateUpdate(this.#random, dialect)
    if (mutations > 0) mutateTree(this.#random, tree, () => this.#donor(dialect), dialect, mutations)
    const message = writeTree(tree)
    // Above 4096 octets only where extended messages are meant (RFC 8654): such a message is a header error for all others.
    return message.length <= 4096 || this.#random.oneIn(50) ? message : withHeader(message.slice(0, 4096), 2)
  }

  #donor(dialect: Dialect): UpdateTree {
    return this.#random.oneIn(2) ? readTree(this.#random.pick(this.#updates)) : generateUpdate(this.#random, dialect)
  }

  /** An UPDATE of up to 65535 octets. */
  #large(dialect: Dialect): Uint8Array {
    const random = this.#random
    const tree = generateUpdate(random, dialect)
    if (random.oneIn(2)) {
      tree.attributes.push({ flags: 0xd0, type: 99, value: random.octets(4096 + random.below(50_000)), declared: -1 })
    } else {
      const items = [tree.nlri]
      for (let n = 0; n < 2000; n++) items.push(generateUpdate(random, dialect).nlri)
      tree.nlri = concat(...items).slice(0, 60_000)
    }
    return writeTree(tree)
  }

  /** Anything but an UPDATE. */
  #other(): Uint8Array {
    const random = this.#random
    switch (random.below(12)) {
      case 0:
        return generateNotification(random)
      case 1:
        return mutateMessage(random, generateNotification(random))
      case 2:
        return random.pick(this.#seeds)
      case 3:
        return mutateMessage(random, random.pick(this.#seeds))
      case 4:
        return messageOf(random.below(8), random.octets(random.below(60)))
      case 5:
      case 6:
        return mutateMessage(random, generateRefresh(random))
      case 7:
      case 8:
      case 9:
        return generateRefresh(random)
      default:
        return KEEPALIVE
    }
  }
}

function dialectOf({ asn, kind }: Sender, { as4, addPath }: SenderView): Dialect {
  return { asn, external: kind === SourceKind.EBGP, as4, addPath }
}

const KEEPALIVE = messageOf(4, NONE)
