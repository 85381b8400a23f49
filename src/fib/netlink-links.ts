/**
 * The devices of the machine as the kernel last told (pure), and what a change of one of them means for the routes.
 */
import type { LinkMessage } from '../netlink/link.js'
import { LinkFlag } from '../netlink/numbers.js'
import type { Devices } from './netlink-routes.js'

export class LinkTable implements Devices {
  #links = new Map<number, LinkMessage>()
  #indexes = new Map<string, number>()

  indexOf(name: string): number {
    return this.#indexes.get(name) ?? 0
  }

  nameOf(index: number): string | null {
    return this.#links.get(index)?.name ?? null
  }

  /** All of them, by index. */
  replace(links: Map<number, LinkMessage>): void {
    this.#links = links
    this.#indexes = new Map([...links.values()].map((link) => [link.name, link.index]))
  }

  /**
   * One has changed. `event`: its routes went without a word, or have another name for their device now; `ours`: paths through it may live again, without a word
   * too; null: it says nothing of devices.
   */
  take(link: LinkMessage, isGone: boolean): 'event' | 'ours' | 'devices' | null {
    // A bridge speaks of its ports: a port that leaves is still a device.
    if (link.family !== 0) return null
    const known = this.#links.get(link.index)
    if (known !== undefined) this.#indexes.delete(known.name)
    if (isGone) this.#links.delete(link.index)
    else {
      this.#links.set(link.index, link)
      this.#indexes.set(link.name, link.index)
    }
    const wasUp = known !== undefined && (known.flags & LinkFlag.UP) !== 0
    const isUp = !isGone && (link.flags & LinkFlag.UP) !== 0
    if (isGone || (wasUp && !isUp) || (known !== undefined && known.name !== link.name)) return 'event'
    return !wasUp && isUp ? 'ours' : 'devices'
  }
}
