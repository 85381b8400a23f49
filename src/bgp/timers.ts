/**
 * Time for thousands of sessions: jitter, and a queue of deadlines (a binary heap) that one real timer serves (src/bgp/clock.ts). Pure.
 *
 * Sessions are lazy: receiving a message only stores a later hold deadline. The queue keeps the earlier wake-up; its owner then looks, and
 * queues itself again. So `schedule` to a later time costs one comparison.
 *
 * Times are monotonic milliseconds; Infinity is never.
 */

/** Something that wants to be woken. One object for its whole life; it is in at most one queue. */
export interface Wakeable {
  /** Called when its time is near or past; it has to look at its own deadlines. */
  onDeadline(nowMs: number): void
  /** Place in the queue, -1 when it is in none. Belongs to the queue. */
  queueIndex: number
  /** The wake-up in the queue. Belongs to the queue. */
  wakeAtMs: number
}

export class DeadlineQueue {
  readonly #heap: Wakeable[] = []

  get size(): number {
    return this.#heap.length
  }

  /** The earliest wake-up, or Infinity. */
  get nextMs(): number {
    return this.#heap[0]?.wakeAtMs ?? Number.POSITIVE_INFINITY
  }

  /** Wakes `item` at `atMs` or earlier. A later time than the one queued is not moved: the item is woken early and asks again. */
  schedule(item: Wakeable, atMs: number): void {
    if (item.queueIndex >= 0) {
      if (atMs >= item.wakeAtMs) return
      item.wakeAtMs = atMs
      this.#up(item.queueIndex)
      return
    }
    if (atMs === Number.POSITIVE_INFINITY) return
    item.wakeAtMs = atMs
    item.queueIndex = this.#heap.length
    this.#heap.push(item)
    this.#up(item.queueIndex)
  }

  cancel(item: Wakeable): void {
    const index = item.queueIndex
    if (index < 0) return
    item.queueIndex = -1
    const last = this.#heap.pop()!
    if (last === item) return
    this.#place(last, index)
    this.#up(index)
    this.#down(last.queueIndex)
  }

  /** Takes and returns the next item that is due, or undefined. */
  takeDue(nowMs: number): Wakeable | undefined {
    const first = this.#heap[0]
    if (first === undefined || first.wakeAtMs > nowMs) return undefined
    this.cancel(first)
    return first
  }

  #place(item: Wakeable, index: number): void {
    this.#heap[index] = item
    item.queueIndex = index
  }

  #up(from: number): void {
    let index = from
    const item = this.#heap[index]!
    while (index > 0) {
      const parentIndex = (index - 1) >> 1
      const parent = this.#heap[parentIndex]!
      if (parent.wakeAtMs <= item.wakeAtMs) break
      this.#place(parent, index)
      index = parentIndex
    }
    this.#place(item, index)
  }

  #down(from: number): void {
    let index = from
    const item = this.#heap[index]!
    const size = this.#heap.length
    for (;;) {
      let childIndex = 2 * index + 1
      if (childIndex >= size) break
      if (childIndex + 1 < size && this.#heap[childIndex + 1]!.wakeAtMs < this.#heap[childIndex]!.wakeAtMs) childIndex++
      const child = this.#heap[childIndex]!
      if (child.wakeAtMs >= item.wakeAtMs) break
      this.#place(child, index)
      index = childIndex
    }
    this.#place(item, index)
  }
}

/** 0 ≤ value < 1, as Math.random. */
export type Random = () => number

/** KeepaliveTimer and the like: 0.75 to 1.0 of the interval (RFC 4271 §10). */
export function jitterDown(intervalMs: number, random: Random): number {
  return intervalMs * (0.75 + 0.25 * random())
}

/** ConnectRetryTimer: ± 25 %, so that two speakers that failed together do not collide for ever. */
export function jitterAround(intervalMs: number, random: Random): number {
  return intervalMs * (0.75 + 0.5 * random())
}

/** RFC 4271 §8.2.2: "large" hold time while the peer's OPEN is awaited. */
export const LARGE_HOLD_MS = 240_000
/** RFC 9687 §3.1: the greater of 8 minutes and twice the negotiated hold time. */
export const MIN_SEND_HOLD_MS = 480_000

export function sendHoldMs(holdTimeSeconds: number): number {
  return Math.max(MIN_SEND_HOLD_MS, 2000 * holdTimeSeconds)
}
