// kafkajs asked what checks.txt lists.
'use strict'
const { spawn, execFile } = require('child_process')
const { promisify } = require('util')
const kafkajs = require('kafkajs')
const snappy = require('snappyjs')
const lz4 = require('lz4js')
const { ZstdCodec } = require('zstd-codec')

const { Kafka, CompressionTypes, CompressionCodecs, ConfigResourceTypes, logLevel } = kafkajs
const PARTITIONS = 4
const EACH = Number(process.env.RECORDS)
const COPIES = process.env.NODES === '3' ? 3 : 1
const kafka = new Kafka({ clientId: 'checks', brokers: process.env.BOOTSTRAP.split(','), logLevel: logLevel.NOTHING,
  retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 60 } })
// For what must fail, and soon.
const impatient = new Kafka({ clientId: 'checks', brokers: process.env.BOOTSTRAP.split(','), logLevel: logLevel.NOTHING, retry: { retries: 1 } })

const zstd = new Promise(resolve => ZstdCodec.run(library => resolve(new library.Simple())))
CompressionCodecs[CompressionTypes.Snappy] = () => ({
  compress: async encoder => Buffer.from(snappy.compress(encoder.buffer)),
  decompress: async bytes => Buffer.from(snappy.uncompress(bytes)),
})
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async encoder => Buffer.from(lz4.compress(encoder.buffer)),
  decompress: async bytes => Buffer.from(lz4.decompress(bytes)),
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async encoder => Buffer.from((await zstd).compress(encoder.buffer)),
  decompress: async bytes => Buffer.from((await zstd).decompress(bytes)),
})

class Failed extends Error {}
class NotOffered extends Error {}
const notOffered = why => async () => { throw new NotOffered(why) }
const show = value => JSON.stringify(value, (_, v) => typeof v === 'bigint' ? String(v) : v)
function expect(what, want, got) {
  if (show(want) !== show(got)) throw new Failed(`${what}: expected ${show(want)}, got ${show(got)}`)
}
async function expectError(what, type, action) {
  let got
  try { got = await action() } catch (error) {
    // kafkajs says what the broker refused with somewhere inside: a cause, one of several errors, a partition's or a group's.
    const flat = e => !e ? '' : [e.type, e.message, flat(e.cause), ...(e.errors || []).map(flat), ...[].concat(e.partitions || [], e.groups || []).map(x => flat(x.error))].join(' ')
    const words = flat(error)
    if (!words.includes(type)) throw new Failed(`${what}: expected ${type}, got ${words}`)
    return
  }
  throw new Failed(`${what}: was accepted: ${show(got)}`)
}
const later = ms => new Promise(resolve => setTimeout(resolve, ms))
async function eventually(what, seconds, isTrue) {
  const end = Date.now() + seconds * 1000
  while (!await isTrue()) {
    if (Date.now() > end) throw new Failed(`not within ${seconds} s: ${what}`)
    await later(50)
  }
}
let names = 0
const fresh = prefix => `${prefix}-${process.pid}-${++names}`
const broker = (...verb) => promisify(execFile)(process.env.MILLRACE_CTL, verb)
const admin = kafka.admin()

async function newTopic(partitions = PARTITIONS, configEntries = []) {
  const topic = fresh('kafkajs')
  await admin.createTopics({ topics: [{ topic, numPartitions: partitions, replicationFactor: COPIES, configEntries }], waitForLeaders: true })
  return topic
}
async function produce(topic, records, { compression = CompressionTypes.None, client = kafka, ...options } = {}) {
  const producer = client.producer({ allowAutoTopicCreation: false, createPartitioner: kafkajs.Partitioners.DefaultPartitioner, ...options })
  await producer.connect()
  try {
    for (let i = 0; i < records.length; i += 500) await producer.send({ topic, compression, messages: records.slice(i, i + 500) })
  } finally { await producer.disconnect() }
}
function sample(partitions, each) {
  const records = []
  for (let i = 0; i < each; ++i) {
    for (let partition = 0; partition < partitions; ++partition) {
      const record = { partition, key: i % 5 < 2 ? `key-${i % 17}` : null, value: Buffer.from(`record ${i} of ${partition}` + ' compressible'.repeat(i % 8)), headers: {} }
      if (i % 5 === 1) record.value = null
      if (i % 5 === 2) record.value = Buffer.from(Array.from({ length: i % 200 + 1 }, (_, n) => (n * i + partition) & 255))
      if (i % 5 === 3) record.headers = { trace: [Buffer.from([0, 1, 255]), Buffer.from('again')], größe: Buffer.from('ü') }
      records.push(record)
    }
  }
  return records
}
const numbered = (round, each) => {
  const records = []
  for (let i = 0; i < each; ++i) for (let partition = 0; partition < PARTITIONS; ++partition) records.push({ partition, value: `${round}-${partition}-${String(i).padStart(6, '0')}` })
  return records
}
const plain = record => ({ key: record.key === null || record.key === undefined ? null : String(record.key),
  value: record.value === null ? null : Buffer.from(record.value).toString('hex'),
  headers: Object.entries(record.headers || {}).map(([k, v]) => [k, [].concat(v).map(one => Buffer.from(one).toString('hex'))]) })
function sameRecords(sent, got) {
  expect('records', sent.length, got.length)
  const next = {}
  for (const record of sent) (next[record.partition] ||= []).push(record)
  for (const record of got) {
    const want = next[record.partition].shift()
    if (show(plain(want)) !== show(plain(record))) throw new Failed(`partition ${record.partition} offset ${record.offset}: sent ${show(plain(want))}, got ${show(plain(record))}`)
  }
}
// Reads until `want` records came, then a little longer.
async function readAll(topic, want, options = {}) {
  const consumer = kafka.consumer({ groupId: fresh('reader'), ...options })
  const got = []
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({ autoCommit: false, eachMessage: async ({ partition, message }) => { got.push({ partition, ...message }) } })
  await eventually(`${want} records are read`, 60, () => got.length >= want)
  await later(200)
  await consumer.disconnect()
  return got
}
class Member {
  constructor(group, topic, seen) {
    this.owned = []
    this.consumer = kafka.consumer({ groupId: group, sessionTimeout: 6000, heartbeatInterval: 300, rebalanceTimeout: 10000, metadataMaxAge: 2000 })
    this.consumer.on(this.consumer.events.GROUP_JOIN, ({ payload }) => { this.owned = payload.memberAssignment[topic] || [] })
    this.running = this.start(topic, seen)
  }
  async start(topic, seen) {
    await this.consumer.connect()
    await this.consumer.subscribe({ topic, fromBeginning: true })
    await this.consumer.run({ autoCommitInterval: 200, eachMessage: async ({ message }) => {
      const value = String(message.value)
      seen.set(value, (seen.get(value) || 0) + 1)
    } })
  }
  async leave() { await this.running; await this.consumer.disconnect() }
}
const total = seen => [...seen.values()].reduce((a, b) => a + b, 0)
const share = (...members) => show(members.flatMap(m => m.owned).sort()) === show([0, 1, 2, 3])
async function committed(group, topic) {
  const [{ partitions }] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
  return partitions.filter(p => p.offset !== '-1').map(p => [p.partition, Number(p.offset)]).sort((a, b) => a[0] - b[0])
}

async function codecs() {
  for (const [name, compression] of Object.entries(CompressionTypes)) {
    const topic = await newTopic()
    const sent = sample(PARTITIONS, EACH)
    await produce(topic, sent, { compression })
    try { sameRecords(sent, await readAll(topic, sent.length)) } catch (error) { throw new Failed(`${name}: ${error.message}`) }
  }
  return `${PARTITIONS * EACH} records in each of 5 codecs`
}
async function joinLeave() {
  const topic = await newTopic(), group = fresh('group'), seen = new Map()
  await produce(topic, numbered('one', EACH))
  const a = new Member(group, topic, seen)
  await eventually('the first member owns all', 20, () => a.owned.length === PARTITIONS)
  const b = new Member(group, topic, seen)
  await eventually('two members share', 30, () => share(a, b) && a.owned.length === 2)
  await produce(topic, numbered('two', EACH))
  await eventually('two rounds are read', 30, () => seen.size === 2 * PARTITIONS * EACH)
  await a.leave()
  await eventually('the second member owns all', 20, () => b.owned.length === PARTITIONS)
  await produce(topic, numbered('three', EACH))
  await eventually('three rounds are read', 30, () => seen.size === 3 * PARTITIONS * EACH)
  await b.leave()
  expect('committed offsets', [0, 1, 2, 3].map(p => [p, 3 * EACH]), await committed(group, topic))
  const late = new Map()
  await produce(topic, numbered('four', EACH))
  const c = new Member(group, topic, late)
  await eventually('the fourth round is read', 30, () => late.size === PARTITIONS * EACH)
  await c.leave()
  expect('records that a later member read', PARTITIONS * EACH, total(late))
  return `${3 * PARTITIONS * EACH} records over joins and leaves, ${total(seen) - 3 * PARTITIONS * EACH} read again`
}
async function crash() {
  const topic = await newTopic(), group = fresh('group'), seen = new Map()
  const stays = new Member(group, topic, seen)
  const dies = spawn(process.argv[0], [process.argv[1], 'member', group, topic])
  let owned = 0
  dies.stdout.on('data', words => { owned = Number(String(words).trim().split(' ').pop()) })
  try { await eventually('the member to be killed has its share', 30, () => owned === 2 && stays.owned.length === 2) } finally { dies.kill('SIGKILL') }
  const began = Date.now()
  await produce(topic, numbered('after', EACH))
  await eventually('the survivor owns all', 30, () => stays.owned.length === PARTITIONS)
  const took = (Date.now() - began) / 1000
  if (took < 2) throw new Failed(`a session of 6 s ended after ${took}`)
  await eventually('everything is read', 20, () => seen.size === PARTITIONS * EACH)
  await stays.leave()
  return `partitions moved ${took.toFixed(1)} s after the kill, session 6 s`
}
async function beAMember(group, topic) {
  const member = new Member(group, topic, new Map())
  for (let last = -1; ; await later(50)) if (member.owned.length !== last) console.log('owns', last = member.owned.length)
}
async function topics() {
  const topic = await newTopic(3)
  const create = (name, numPartitions, replicationFactor, configEntries = []) => async () => {
    const one = impatient.admin()
    await one.connect()
    try {
      if (!await one.createTopics({ topics: [{ topic: name, numPartitions, replicationFactor, configEntries }] })) throw Object.assign(new Error(), { type: 'false: TOPIC_ALREADY_EXISTS' })
    } finally { await one.disconnect() }
  }
  await expectError('create twice', 'TOPIC_ALREADY_EXISTS', create(topic, 3, COPIES))
  await expectError('create with a bad name', 'INVALID_TOPIC_EXCEPTION', create('no spaces', 1, COPIES))
  await expectError('create with too many copies', 'INVALID_REPLICATION_FACTOR', create(fresh('many'), 1, 9))
  await expectError('create with a bad setting', 'INVALID_CONFIG', create(fresh('bad'), 1, COPIES, [{ name: 'retention.ms', value: 'soon' }]))
  const count = async () => (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length
  expect('partitions', 3, await count())
  await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] })
  await eventually('five partitions', 10, async () => await count() === 5)
  expect('listed', true, (await admin.listTopics()).includes(topic))
  await admin.deleteTopics({ topics: [topic] })
  await eventually('it is gone from the list', 10, async () => !(await admin.listTopics()).includes(topic))
  const one = impatient.admin()
  await one.connect()
  await expectError('delete twice', 'This server does not host this topic-partition', () => one.deleteTopics({ topics: [topic], timeout: 1000 }))
  await one.disconnect()
  return 'created, grown from 3 to 5, deleted; five refusals'
}
async function configs() {
  const topic = await newTopic(1)
  const resource = { type: ConfigResourceTypes.TOPIC, name: topic }
  const value = async key => (await admin.describeConfigs({ resources: [resource], includeSynonyms: false })).resources[0].configEntries.find(e => e.configName === key).configValue
  const alter = (...configEntries) => admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries }] })
  expect('retention.ms at first', '604800000', await value('retention.ms'))
  await alter({ name: 'retention.ms', value: '1234567' })
  await eventually('the new retention is described', 10, async () => await value('retention.ms') === '1234567')
  await expectError('a bad value', 'INVALID_CONFIG', () => alter({ name: 'retention.ms', value: 'soon' }))
  await alter({ name: 'cleanup.policy', value: 'compact' })
  await eventually('what is not named is the default again', 10, async () => await value('retention.ms') === '604800000')
  return 'set and replaced (kafkajs has no incremental change); one refusal'
}
async function deleteRecords() {
  const topic = await newTopic(1), sent = sample(1, 100)
  await produce(topic, sent)
  await admin.fetchTopicOffsets(topic) // kafkajs deletes only in topics that it has met
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '40' }] })
  const [{ low, high }] = await admin.fetchTopicOffsets(topic)
  expect('low and high', ['40', '100'], [low, high])
  sameRecords(sent.slice(40), await readAll(topic, 60))
  await expectError('delete past the end', 'OFFSET_OUT_OF_RANGE', () => admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '101' }] }))
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '-1' }] })
  expect('low after deleting all', '100', (await admin.fetchTopicOffsets(topic))[0].low)
  return '100 records, 40 gone, then all'
}
async function groupsAdmin() {
  const topic = await newTopic(), group = fresh('group'), seen = new Map(), again = new Map()
  await produce(topic, numbered('first', 20))
  const member = new Member(group, topic, seen)
  await eventually('all read', 20, () => seen.size === 20 * PARTITIONS)
  const state = async () => { const [one] = (await admin.describeGroups([group])).groups; return [one.state, one.members.length] }
  expect('state with a member', ['Stable', 1], await state())
  expect('listed', true, (await admin.listGroups()).groups.some(g => g.groupId === group))
  await expectError('delete a group with a member', 'NON_EMPTY_GROUP', () => admin.deleteGroups([group]))
  await member.leave()
  expect('state without members', ['Empty', 0], await state())
  await admin.setOffsets({ groupId: group, topic, partitions: [{ partition: 0, offset: '5' }] })
  const other = new Member(group, topic, again)
  await eventually('fifteen are read again', 20, () => total(again) === 15)
  await other.leave()
  expect('read again', 15, total(again))
  await admin.deleteGroups([group])
  expect('listed when deleted', false, (await admin.listGroups()).groups.some(g => g.groupId === group))
  await expectError('delete twice', 'GROUP_ID_NOT_FOUND', () => admin.deleteGroups([group]))
  return 'listed, described, reset, deleted; two refusals'
}
async function brokerKilled() {
  const topic = await newTopic(), sent = numbered('n', EACH * 3)
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, createPartitioner: kafkajs.Partitioners.DefaultPartitioner })
  await producer.connect()
  let acked = 0
  const kills = (async () => {
    for (const third of [1, 2]) {
      await eventually('records are acknowledged', 60, () => acked >= third * sent.length / 3)
      await broker('crash', String(1 + third % COPIES))
    }
  })()
  kills.catch(() => {}) // looked at below
  for (let i = 0; i < sent.length; i += 100) {
    await producer.send({ topic, messages: sent.slice(i, i + 100) })
    acked += 100
  }
  await kills
  await producer.disconnect()
  sameRecords(sent, await readAll(topic, sent.length))
  return `${sent.length} records through two kills`
}
async function offsetsByTime() {
  const topic = await newTopic(1), base = Math.floor(Date.now() / 1000 - 3600) * 1000
  for (let ten = 0; ten < 100; ten += 10)
    await produce(topic, Array.from({ length: 10 }, (_, i) => ({ partition: 0, value: String(ten + i), timestamp: String(base + (ten + i) * 1000) })))
  const at = async after => Number((await admin.fetchTopicOffsetsByTimestamp(topic, base + after))[0].offset)
  const found = []
  for (const after of [-60000, 37000, 37001, 99000, 100000]) found.push(await at(after))
  expect('offsets after times, the end for none', [0, 37, 38, 99, 100], found)
  const [{ low, high }] = await admin.fetchTopicOffsets(topic)
  expect('low and high', ['0', '100'], [low, high])
  return '100 records a second apart'
}
async function smallFetch() {
  const topic = await newTopic(), sent = sample(PARTITIONS, Math.min(EACH, 300))
  for (let i = 0; i < sent.length; i += 80) await produce(topic, sent.slice(i, i + 80))
  sameRecords(sent, await readAll(topic, sent.length, { maxBytes: 512, maxBytesPerPartition: 100 }))
  return `${sent.length} records in fetches of 512 bytes`
}
async function largeMessage() {
  const topic = await newTopic(1, [{ name: 'max.message.bytes', value: '4194304' }])
  const sent = [{ partition: 0, value: Buffer.alloc(3000000, 'large') }, { partition: 0, value: 'small' }]
  await produce(topic, sent)
  sameRecords(sent, await readAll(topic, 2, { maxBytesPerPartition: 1000 }))
  const limited = await newTopic(1)
  await expectError('too large for its topic', 'MESSAGE_TOO_LARGE', () => produce(limited, sent.slice(0, 1), { client: impatient }))
  return '3 MB there and back; refused by the default limit'
}
async function autoCreate() {
  const topic = fresh('auto')
  await produce(topic, Array.from({ length: 50 }, (_, i) => ({ key: String(i), value: String(i) })), { allowAutoTopicCreation: true })
  expect('records', 50, (await readAll(topic, 50)).length)
  expect('partitions', PARTITIONS, (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length)
  return '4 partitions as num.partitions says'
}
async function unknownTopic() {
  const one = impatient.admin()
  await one.connect()
  await expectError('offsets of nowhere', 'This server does not host this topic-partition', () => one.fetchTopicOffsets(fresh('nowhere')))
  await one.disconnect()
  await expectError('produce to nowhere', 'This server does not host this topic-partition', () => produce(fresh('nowhere'), [{ value: 'x' }], { client: impatient }))
  return 'offsets and produce are refused'
}

const checks = {
  codecs, 'groups-join-leave': joinLeave, 'groups-crash': crash, 'groups-static': notOffered('kafkajs has no static membership'),
  'groups-cooperative': notOffered('kafkajs has no cooperative assignor'), 'groups-kip848': notOffered('kafkajs has no consumer protocol of KIP-848'),
  topics, configs, 'delete-records': deleteRecords, 'groups-admin': groupsAdmin, 'broker-killed': brokerKilled, 'offsets-by-time': offsetsByTime,
  'small-fetch': smallFetch, 'large-message': largeMessage, 'auto-create': autoCreate, 'unknown-topic': unknownTopic,
}
async function main() {
  if (process.argv[2] === 'member') return beAMember(process.argv[3], process.argv[4])
  await admin.connect()
  for (const name of process.env.CHECKS.split(' ')) {
    if (!checks[name]) continue
    const began = Date.now()
    let line
    try { line = `ok\t${name}\t${await checks[name]()} (${((Date.now() - began) / 1000).toFixed(1)} s)` } catch (error) {
      if (error instanceof NotOffered) line = `n/a\t${name}\t${error.message}`
      else { console.error(error); line = `FAILED\t${name}\t${error.message || error}` }
    }
    console.log(line.replaceAll('\n', ' '))
  }
  process.exit(0) // members that a failed check left behind
}
main()
