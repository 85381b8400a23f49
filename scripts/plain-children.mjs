/**
 * Loaded into every test process: what a test starts runs as it does for a user. tap hands its own loader to all Node.js children through
 * NODE_OPTIONS; that doubles their start time (130 to 270 ms) and hooks into their signals and their end.
 */
// Comes with tap, which adds its listener before this file is loaded.
import processOnSpawn from 'process-on-spawn'

processOnSpawn.addListener((child) => {
  const options = (child.env.NODE_OPTIONS ?? '').split(' ').filter((option) => !option.includes('@tapjs/processinfo'))
  child.env.NODE_OPTIONS = options.join(' ')
})
