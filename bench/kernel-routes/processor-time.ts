/** Processor time of processes, and waiting until they need none. */
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'

/** Seconds that all threads that live have been running, with the kernel's work for them. */
export function processorSeconds(pids: readonly number[]): number {
  let nanoseconds = 0
  for (const pid of pids) {
    for (const thread of threadsOf(pid)) {
      try {
        nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0])
      } catch {
        // The thread has ended meanwhile.
      }
    }
  }
  return nanoseconds / 1e9
}

/** Until they have needed less than 5 % of a core for a while. `mustRun` throws where waiting makes no sense any more. */
export async function idle(pids: readonly number[], mustRun: () => void): Promise<void> {
  const endMs = performance.now() + LIMIT_MS
  let sinceMs = performance.now()
  let since = processorSeconds(pids)
  for (;;) {
    await pause(STEP_MS)
    mustRun()
    const nowMs = performance.now()
    const now = processorSeconds(pids)
    if (now - since > QUIET_SHARE * (QUIET_MS / 1000)) {
      since = now
      sinceMs = nowMs
    } else if (nowMs - sinceMs >= QUIET_MS) return
    if (nowMs > endMs) throw new Error(`the daemon is still at work after ${LIMIT_MS / 1000} s without anything to do`)
  }
}

function threadsOf(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
  } catch {
    return []
  }
}

const STEP_MS = 50
/** Longer than the pauses between a daemon's start and what it does when it finds nothing to do. */
const QUIET_MS = 500
/** Measuring the event loop's delay takes up to 2 %. */
const QUIET_SHARE = 0.05
const LIMIT_MS = 60_000
