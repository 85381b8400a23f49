/**
 * A run of the fuzzer: epochs of some thousand steps, each in a world and with numbers of its own, so that a finding is replayed from its epoch alone.
 */
import { Finding } from './finding.js'
import { generateOpen } from './generate.js'
import { neededCapabilities, SENDERS } from './peers.js'
import { Random } from './random.js'
import { loadSeeds } from './seeds.js'
import { endsIn, shrink } from './shrink.js'
import { MixedSource } from './source.js'
import type { Step } from './step.js'
import { concat, messageOf, NONE } from './update-tree.js'
import { newCounters, World, type WorldCounters } from './world.js'

export interface CampaignOptions {
  readonly seed: number
  readonly messages: number
  /** After each epoch. */
  readonly progress?: (counters: WorldCounters) => void
}

export interface CampaignResult {
  readonly counters: WorldCounters
  readonly failure: Failure | null
}

export interface Failure {
  readonly finding: Finding
  readonly seed: number
  readonly epoch: number
  readonly steps: readonly Step[]
}

/** No message may take longer (milliseconds). */
export const LIMIT_MS = 5
const EPOCH = 4096

export function runCampaign({ seed, messages, progress }: CampaignOptions): CampaignResult {
  const counters = newCounters()
  const seeds = loadSeeds()
  for (let epoch = 0; counters.messages < messages; epoch++) {
    const random = new Random(Math.imul(seed, 0x9e3779b1) ^ Math.imul(epoch + 1, 0x85ebca6b))
    const steps: Step[] = []
    try {
      const world = new World(counters)
      const source = new MixedSource(random, world.senders, seeds)
      for (let left = Math.min(EPOCH, messages - counters.messages); left > 0; left--) {
        const step = source.next()
        steps.push(step)
        const spentMs = world.step(step)
        if (spentMs > counters.slowestMs) checkTime(step, spentMs, counters)
      }
      world.finish()
    } catch (error) {
      const finding =
        error instanceof Finding
          ? error
          : new Finding('exception', error instanceof Error ? (error.stack ?? error.message) : String(error))
      const few = finding.oracle === 'time' ? steps.slice(-1) : shrink(steps, endsIn(finding))
      return { counters, failure: { finding, seed, epoch, steps: few } }
    }
    progress?.(counters)
  }
  return { counters, failure: null }
}

/** The machine may have been busy, or collecting garbage: the least of several times counts, each in a world of its own. */
function checkTime(step: Step, spentMs: number, counters: WorldCounters): void {
  let least = spentMs
  for (let round = 0; round < 9 && least > counters.slowestMs; round++) least = Math.min(least, timeOf(step))
  counters.slowestMs = Math.max(counters.slowestMs, least)
  if (least > LIMIT_MS) throw new Finding('time', `${least.toFixed(2)} ms for ${step.bytes.length} octets`)
}

/** On an Established session, milliseconds. */
export function timeOf({ sender, bytes }: Step): number {
  const world = new World(newCounters())
  const random = new Random(1)
  const { asn } = SENDERS[sender]!
  const open = generateOpen(random, asn, 0x0a090901, neededCapabilities(SENDERS[sender]!))
  world.step({ sender, bytes: concat(open, messageOf(4, NONE)), cut: 0 })
  return world.step({ sender, bytes, cut: 0 })
}
