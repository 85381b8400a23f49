/**
 * A process of its own that outlives the lab: when the lab ends, however it ends, its end of the pipe closes, and what the lab has left is
 * removed. Started as `node guard.js PREFIX FOLDER`; detached, so that Ctrl-C does not reach it.
 */
import { removeLab } from './leftovers.js'

const [prefix, folder] = process.argv.slice(2)
if (prefix !== undefined && folder !== undefined) {
  process.stdin.resume()
  process.stdin.on('close', () => void removeLab(prefix, folder))
}
