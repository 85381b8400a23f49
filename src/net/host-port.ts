/** `192.0.2.1:179` or `[2001:db8::1]:179`; also of a name. */
export function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
