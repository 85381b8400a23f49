/** Edge: whether this machine can run the rack in network namespaces, and if not, what would help. */
import { spawnSync } from 'node:child_process'

/** What is missing and which package or right brings it; empty when nothing is known to be missing. */
export function missingForKernel(): readonly string[] {
  if (process.platform !== 'linux') return [`network namespaces need Linux, this is ${process.platform}`]
  const missing: string[] = []
  if (!runs('ip', ['-V'])) missing.push('the program ip is missing: apt-get install iproute2')
  if (!runs('ping', ['-V'])) missing.push('the program ping is missing: apt-get install iputils-ping')
  if (process.getuid?.() !== 0) missing.push('network namespaces need root: run it as root, for example with sudo')
  return missing
}

function runs(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).error === undefined
}
