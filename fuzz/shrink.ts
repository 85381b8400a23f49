/** From the steps of a finding to the few octets that show it. */
import { Finding } from './finding.js'
import type { Step } from './step.js'
import { concat, readTree, withHeader, writeTree } from './update-tree.js'
import { newCounters, World } from './world.js'

/** Runs the steps in a world of their own. */
export function replay(steps: readonly Step[]): Finding | null {
  try {
    const world = new World(newCounters())
    for (const step of steps) world.step(step)
    world.finish()
    return null
  } catch (error) {
    if (error instanceof Finding) return error
    return new Finding('exception', error instanceof Error ? (error.stack ?? error.message) : String(error))
  }
}

export type Fails = (steps: readonly Step[]) => boolean

/** Whether the steps end in the same oracle. */
export function endsIn({ oracle }: Finding): Fails {
  return (steps) => replay(steps)?.oracle === oracle
}

/** The shortest list found that still fails; `steps` itself where it does not. `tries` bounds the work. */
export function shrink(steps: readonly Step[], fails: Fails, tries = 3000): readonly Step[] {
  let left = tries
  const still: Fails = (candidate) => candidate.length > 0 && left-- > 0 && fails(candidate)
  if (!still(steps)) return steps
  const few = fewerSteps(steps, still)
  return few.map((_, at) => at).reduce<readonly Step[]>((all, at) => shorterStep(all, at, still), few)
}

function fewerSteps(steps: readonly Step[], fails: Fails): readonly Step[] {
  let best = steps
  for (let size = Math.ceil(best.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = best.length; at > 0; ) {
      const from = Math.max(0, at - size)
      const candidate = [...best.slice(0, from), ...best.slice(at)]
      if (fails(candidate)) best = candidate
      at = from
    }
  }
  return best
}

function shorterStep(all: readonly Step[], at: number, fails: Fails): readonly Step[] {
  let best = all
  const accept = (bytes: Uint8Array): boolean => {
    const candidate = best.map((step, number) => (number === at ? { ...step, bytes } : step))
    if (!fails(candidate)) return false
    best = candidate
    return true
  }
  const bytes = (): Uint8Array => best[at]!.bytes
  if (bytes()[18] === 2 && bytes().length >= 23) {
    for (let n = readTree(bytes()).attributes.length - 1; n >= 0; n--) {
      const tree = readTree(bytes())
      tree.attributes.splice(n, 1)
      accept(writeTree(tree))
    }
  }
  for (const size of [256, 64, 16, 4, 1]) {
    for (let end = bytes().length; end - size >= 19; ) {
      const cut = concat(bytes().subarray(0, end - size), bytes().subarray(end))
      // With a right header first: a message of its own, not the front of the next one.
      if (!accept(withHeader(cut.slice(), cut[18]!))) accept(cut)
      end = Math.min(end - size, bytes().length)
    }
  }
  return best
}
