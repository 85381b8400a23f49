/** `npm start`: installs what is missing, compiles, and runs the lab with the arguments given (`npm start -- --once`). */
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { join } from 'node:path'
import { prepare, root, run } from './prepare.mjs'

await run(async () => {
  await prepare()
  const program = join(root, 'dist', 'src', 'cli', 'main.js')
  // The IPC channel tells the lab when this process is killed: it then removes what it made.
  const lab = spawn(process.execPath, [program, 'lab', ...process.argv.slice(2)], {
    cwd: root,
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => lab.kill(signal))
  return new Promise((resolve, reject) => {
    lab.on('error', reject)
    lab.on('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal]))
  })
})
