import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'
import { findSys } from '../../src/sys/sys.js'

const { sys } = findSys()
const skip =
  sys === null
    ? 'nothing provides system calls'
    : !existsSync('/sys/kernel/mm/transparent_hugepage') && 'a kernel without huge pages'

t.test('memory is marked for huge pages from the page on in which it begins', { skip }, async (t) => {
  const memory = new Int32Array(1 << 20)
  const before = marked()
  sys?.adviseHugePages(memory)
  t.ok(marked() - before >= memory.byteLength, `${marked() - before} octets more are marked`)
  t.equal(memory.fill(1)[memory.length - 1], 1)
})

/** Octets of this process in mappings with the flag hg (proc_pid_smaps(5)). */
function marked(): number {
  let octets = 0
  let size = 0
  for (const line of readFileSync('/proc/self/smaps', 'utf8').split('\n')) {
    if (line.startsWith('Size:')) size = Number.parseInt(line.slice(5), 10) * 1024
    if (line.startsWith('VmFlags:') && / hg( |$)/.test(line)) octets += size
  }
  return octets
}
