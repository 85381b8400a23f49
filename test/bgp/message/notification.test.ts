import t from 'tap'
import {
  decodeNotification,
  encodeNotification,
  notificationText,
  shutdownText,
} from '../../../src/bgp/message/notification.js'

const utf8 = (text: string): Uint8Array => {
  const bytes = Buffer.from(text)
  return Uint8Array.of(bytes.length, ...bytes)
}

t.test('names of codes and subcodes', async (t) => {
  t.equal(notificationText(6, 2), 'Cease/Administrative Shutdown')
  t.equal(notificationText(6, 10), 'Cease/BFD Down')
  t.equal(notificationText(4, 0), 'Hold Timer Expired')
  t.equal(notificationText(8, 0), 'Send Hold Timer Expired')
  t.equal(notificationText(2, 11), 'OPEN Message Error/Role Mismatch')
  t.equal(notificationText(6, 77), 'Cease/subcode 77')
  t.equal(notificationText(255, 255), 'code 255/subcode 255')
})

t.test('shutdown text (RFC 9003)', async (t) => {
  t.equal(shutdownText(utf8('Wartung für alle')), 'Wartung für alle')
  t.equal(shutdownText(Uint8Array.of(...utf8('ab'), 99)), 'ab', 'what follows is ignored')
  t.equal(shutdownText(new Uint8Array(0)), undefined)
  t.equal(shutdownText(Uint8Array.of(0)), undefined)
  t.equal(shutdownText(Uint8Array.of(3, 65, 65)), undefined, 'longer than the data')
  t.equal(shutdownText(utf8('a\u001b[31m\r\nb')), 'a [31m  b', 'control characters become spaces')
  t.equal(shutdownText(Uint8Array.of(2, 0xff, 0xfe)), '\ufffd\ufffd', 'not UTF-8')
  t.equal(shutdownText(utf8('x'.repeat(255)))?.length, 255)
})

t.test('data is a copy, and is cut where the message would not fit', async (t) => {
  const bytes = encodeNotification(6, 2, Uint8Array.of(1, 65))
  const message = decodeNotification(bytes, 0, bytes.length)
  bytes.fill(0)
  t.same(message, { type: 'notification', code: 6, subcode: 2, data: Uint8Array.of(1, 65) })
  t.equal(encodeNotification(3, 9, new Uint8Array(5000)).length, 4096)
})
