// A js-libp2p node. `node peer.js <multiaddress>` connects to it by TCP, Noise and yamux, identifies it, pings it, and
// speaks its trade protocol. Says what it saw as lines of JSON, then answers sightings until its input ends.
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { identify } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'

Promise.withResolvers ??= function () { // js-libp2p is for Node 22
  const it = {}
  it.promise = new Promise((resolve, reject) => { Object.assign(it, { resolve, reject }) })
  return it
}
const { createLibp2p } = await import('libp2p')

const TRADE = '/v2x/trade/1.0.0'
const SIGHTING = '/v2x/sighting/1.0.0'
const REQUEST = 1
const SUBSCRIBE = 2
const CANCEL = 3

const say = (what) => console.log(JSON.stringify(what))
const hex = (bytes) => Buffer.from(bytes).toString('hex')

function enframe (kind, number, frame = '') {
  const message = Buffer.concat([Buffer.from([kind, number]), Buffer.from(frame)])
  const length = message.length < 128 ? [message.length] : [message.length & 127 | 128, message.length >> 7]
  return Buffer.concat([Buffer.from(length), message])
}

async function * messages (stream) {
  let kept = Buffer.alloc(0)
  for await (const chunk of stream) {
    kept = Buffer.concat([kept, Buffer.from(chunk.subarray())])
    for (;;) {
      const width = kept[0] < 128 ? 1 : 2
      if (kept.length < width) break
      const length = width === 1 ? kept[0] : (kept[0] & 127) | kept[1] << 7
      if (kept.length < width + length) break
      yield kept.subarray(width, width + length)
      kept = kept.subarray(width + length)
    }
  }
}

const node = await createLibp2p({
  addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: { identify: identify(), ping: ping() }
})
await node.handle(SIGHTING, async (stream) => {
  stream.send(Buffer.from('950102030405', 'hex'))
  await stream.close()
})
say({ address: node.getMultiaddrs().map(String).find((text) => text.includes('127.0.0.1')) })

const identified = new Promise((resolve) => node.addEventListener('peer:identify', resolve, { once: true }))
const connection = await node.dial(multiaddr(process.argv[2]))
say({ peer: connection.remotePeer.toString(), encryption: connection.encryption, multiplexer: connection.multiplexer })
say({ protocols: (await identified).detail.protocols })
say({ ping_ms: await node.services.ping.ping(multiaddr(process.argv[2])) })

const stream = await connection.newStream(TRADE)
const heard = messages(stream)
const next = async () => hex((await heard.next()).value)
stream.send(enframe(REQUEST, 1, 'from javascript'))
say({ answer: await next() })
stream.send(enframe(REQUEST, 2, 'x'.repeat(4096)))
say({ large: (await next()).length / 2 })
stream.send(enframe(SUBSCRIBE, 3, 'status'))
say({ opening: await next() })
stream.send(enframe(CANCEL, 3))

process.stdin.resume()
process.stdin.on('end', async () => {
  await stream.close()
  await node.stop()
  process.exit(0)
})
