// Prints docs/fsm.md from the table in src/bgp/fsm.ts: node scripts/print-fsm.mjs [FOLDER OF THE BUILD] > docs/fsm.md
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const build = process.argv[2] ?? 'dist'
const { printFsm } = await import(pathToFileURL(resolve(join(build, 'src/bgp/fsm.js'))).href)
process.stdout.write(printFsm())
