/** Edge: a port that is free on all addresses of the rack. */
import { createServer } from 'node:net'

/** The first free port from `first` on. Throws an Error that names the last refusal when there is none. */
export async function findFreePort(addresses: readonly string[], first: number): Promise<number> {
  let refusal = ''
  for (let port = first; port < first + PORTS_TRIED; port++) {
    refusal = ''
    for (const address of addresses) refusal ||= await tryListen(address, port)
    if (refusal === '') return port
  }
  throw new Error(`no free port from ${first} to ${first + PORTS_TRIED - 1}: ${refusal}`)
}

/** Empty when it worked. */
function tryListen(address: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error) => resolve(error.message))
    server.listen({ host: address, port }, () => server.close(() => resolve('')))
  })
}

const PORTS_TRIED = 100
