/**
 * What has to be done when the process ends, whichever way it ends in an orderly manner: one listener for all, since each logger and each driver has something.
 */
const tasks = new Set<() => void>()
let listening = false

/** Runs `task` (synchronous, quick) at the end of the process. Returns what takes it off the list again. */
export function atExit(task: () => void): () => void {
  if (!listening) {
    listening = true
    process.on('exit', () => {
      for (const each of tasks) each()
    })
  }
  tasks.add(task)
  return () => tasks.delete(task)
}
