// Signs a manifest and a file in all ways that tests need, by the code of Sigstore's own packages: `make.cjs MANIFEST FILE DIRECTORY`.
// Each NAME.json is a bundle; each NAME.old.json has the text and the annotations of cosign's older format.
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const path = require('path');
const mock = require('@sigstore/mock');
const { DSSEBundleBuilder, FulcioSigner, MessageSignatureBundleBuilder, RekorWitness, TSAWitness } = require('@sigstore/sign');
const { bundleToJSON } = require('@sigstore/bundle');

// Whole seconds: the packages write milliseconds without zeros at their end, and do not read those.
const SystemDate = Date;
globalThis.Date = class extends SystemDate {
  constructor(...parts) {
    super(...(parts.length ? parts : [Math.floor(SystemDate.now() / 1000) * 1000]));
  }
};

const [, , manifestPath, filePath, directory] = process.argv;
const manifest = fs.readFileSync(manifestPath);
const file = fs.readFileSync(filePath);
const ISSUER = 'https://issuer.example';
const IDENTITY = 'https://git.example/acme/app/release.yml@refs/tags/v1';
const SIGNS = 'https://sigstore.dev/cosign/sign/v1';

const write = (name, content) => fs.writeFileSync(path.join(directory, name), typeof content === 'string' ? content : JSON.stringify(content));
const sha256 = (bytes) => crypto.createHash('sha256').update(bytes).digest();
const keyPair = () => crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
const der = (key) => key.export({ format: 'der', type: 'spki' });
const pem = (key) => key.export({ format: 'pem', type: 'spki' });

// The log of the mock writes down what it is sent. Rekor writes down digests and signatures only.
const canonical = (proposed) => {
  if (proposed.kind !== 'dsse') {
    return proposed;
  }
  const { envelope, verifiers } = proposed.spec.proposedContent;
  const { payload, signatures } = JSON.parse(envelope);
  const hash = (bytes) => ({ algorithm: 'sha256', value: sha256(bytes).toString('hex') });
  return {
    ...proposed,
    spec: {
      envelopeHash: hash(envelope), payloadHash: hash(Buffer.from(payload, 'base64')),
      signatures: [{ signature: signatures[0].sig, verifier: verifiers[0] }],
    },
  };
};

// An authority with its logs and its clock, behind a server of its own.
class Installation {
  async start({ logClock, withCertificateLog = true } = {}) {
    const [authority, certificates, signatures, clock] = [keyPair(), keyPair(), keyPair(), keyPair()];
    this.certificateLog = await mock.initializeCTLog(certificates);
    this.authority = await mock.initializeCA(authority, withCertificateLog ? this.certificateLog : undefined);
    this.signatureLog = await mock.initializeTLog('https://rekor.example', signatures, logClock);
    const add = this.signatureLog.log.bind(this.signatureLog);
    this.signatureLog.log = (proposed) => add(canonical(proposed));
    this.clock = await mock.initializeTSA(clock);
    const handlers = [mock.fulcioHandler(this.authority), mock.rekorHandler(this.signatureLog), mock.tsaHandler(this.clock)];
    this.server = http.createServer((request, response) => {
      const parts = [];
      request.on('data', (part) => parts.push(part));
      request.on('end', async () => {
        const handler = handlers.find((handler) => handler.path === request.url);
        const made = await handler.fn(Buffer.concat(parts).toString());
        response.writeHead(made.statusCode, { 'Content-Type': made.contentType || 'text/plain' });
        response.end(made.response);
      });
    });
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${this.server.address().port}`;
    return this;
  }

  // The file by which others trust it.
  root({ logs = true, clocks = true, certificateLogs = true } = {}) {
    const period = { start: '2020-01-01T00:00:00.000Z' };
    const base64 = (bytes) => Buffer.from(bytes).toString('base64');
    const log = (url, key) => ({
      baseUrl: url, hashAlgorithm: 'SHA2_256', logId: { keyId: base64(sha256(key)) },
      publicKey: { rawBytes: base64(key), keyDetails: 'PKIX_ECDSA_P256_SHA_256', validFor: period },
    });
    const authority = (certificates) => ({
      subject: { organization: 'example', commonName: 'example' }, validFor: period,
      certChain: { certificates: certificates.map((certificate) => ({ rawBytes: base64(certificate) })) },
    });
    return {
      mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
      tlogs: logs ? [log('https://rekor.example', this.signatureLog.publicKey)] : [],
      certificateAuthorities: [authority([this.authority.rootCertificate])],
      ctlogs: certificateLogs ? [log('https://ctfe.example', this.certificateLog.publicKey)] : [],
      timestampAuthorities: clocks ? [authority([this.clock.intCertificate, this.clock.rootCertificate])] : [],
    };
  }

  signer(identity = IDENTITY, issuer = ISSUER) {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const token = `${part({ alg: 'none' })}.${part({ iss: issuer, sub: identity, aud: 'sigstore' })}.${part('')}`;
    return new FulcioSigner({ fulcioBaseURL: this.url, identityProvider: { getToken: async () => token } });
  }

  log(entryType = 'dsse') {
    return new RekorWitness({ rekorBaseURL: this.url, entryType });
  }

  stamp() {
    return new TSAWitness({ tsaBaseURL: this.url });
  }

  // A signature of the older format, with a certificate and an entry of the log.
  async old(payload, { logged = true, entryOf = payload } = {}) {
    const { publicKey, privateKey } = keyPair();
    const certificate = await this.authority.issueCertificate({
      publicKey: der(publicKey), subjectAltName: IDENTITY, extensions: [{ oid: '1.3.6.1.4.1.57264.1.8', value: ISSUER }],
    });
    const text = `-----BEGIN CERTIFICATE-----\n${Buffer.from(certificate).toString('base64')}\n-----END CERTIFICATE-----\n`;
    const signature = crypto.sign('sha256', payload, privateKey).toString('base64');
    const annotations = { 'dev.cosignproject.cosign/signature': signature, 'dev.sigstore.cosign/certificate': text };
    if (logged) {
      annotations['dev.sigstore.cosign/bundle'] = await this.annotation(entryOf, signature, text);
    }
    return { payload: payload.toString(), annotations };
  }

  async annotation(payload, signature, verifier) {
    const [entry] = Object.values(await this.signatureLog.log({
      apiVersion: '0.0.1', kind: 'hashedrekord',
      spec: {
        data: { hash: { algorithm: 'sha256', value: sha256(payload).toString('hex') } },
        signature: { content: signature, publicKey: { content: Buffer.from(verifier).toString('base64') } },
      },
    }));
    const { body, integratedTime, logIndex, logID, verification } = entry;
    return JSON.stringify({ SignedEntryTimestamp: verification.signedEntryTimestamp, Payload: { body, integratedTime, logIndex, logID } });
  }
}

// A log of the newer kind, which the mock does not make: it says no time, has an Ed25519 key, and signs its tree as notes are signed.
class NewerLog {
  constructor(origin) {
    this.origin = origin;
    const { publicKey, privateKey } = crypto.generateKeyPairSync('ed25519');
    [this.publicKey, this.privateKey] = [publicKey, privateKey];
    const raw = der(publicKey).subarray(-32);
    this.id = sha256(Buffer.concat([Buffer.from(`${origin}\n`), Buffer.from([1]), raw]));
  }

  trusted() {
    return {
      baseUrl: `https://${this.origin}`, hashAlgorithm: 'SHA2_256', logId: { keyId: this.id.toString('base64') },
      publicKey: { rawBytes: der(this.publicKey).toString('base64'), keyDetails: 'PKIX_ED25519', validFor: { start: '2020-01-01T00:00:00Z' } },
    };
  }

  // The entry with a body, as the second of three.
  entry(kind, body) {
    const leaf = (bytes) => sha256(Buffer.concat([Buffer.from([0]), bytes]));
    const join = (left, right) => sha256(Buffer.concat([Buffer.from([1]), left, right]));
    const [before, after] = [leaf(Buffer.from('before')), leaf(Buffer.from('after'))];
    const bytes = Buffer.from(JSON.stringify({ apiVersion: '0.0.2', kind, spec: body }));
    const root = join(join(before, leaf(bytes)), after);
    const note = `${this.origin}\n3\n${root.toString('base64')}\n`;
    const signed = Buffer.concat([this.id.subarray(0, 4), crypto.sign(null, Buffer.from(note), this.privateKey)]);
    return {
      logIndex: '1', logId: { keyId: this.id.toString('base64') }, kindVersion: { kind, version: '0.0.2' }, integratedTime: '0',
      inclusionProof: {
        logIndex: '1', rootHash: root.toString('base64'), treeSize: '3', hashes: [before, after].map((hash) => hash.toString('base64')),
        checkpoint: { envelope: `${note}\n\u2014 ${this.origin} ${signed.toString('base64')}\n` },
      },
      canonicalizedBody: bytes.toString('base64'),
    };
  }

  // A bundle that has a timestamp, with an entry of this log.
  add(bundle) {
    const { certificate, x509CertificateChain } = bundle.verificationMaterial;
    const { rawBytes } = certificate ?? x509CertificateChain.certificates[0];
    const verifier = {
      x509Certificate: { rawBytes }, keyDetails: 'PKIX_ECDSA_P256_SHA_256',
    };
    const digest = (bytes) => ({ algorithm: 'SHA2_256', digest: sha256(bytes).toString('base64') });
    const { dsseEnvelope, messageSignature } = bundle;
    const entry = dsseEnvelope
      ? this.entry('dsse', { dsseV002: {
        payloadHash: digest(Buffer.from(dsseEnvelope.payload, 'base64')), signatures: [{ content: dsseEnvelope.signatures[0].sig, verifier }],
      } })
      : this.entry('hashedrekord', { hashedRekordV002: {
        data: { algorithm: 'SHA2_256', digest: messageSignature.messageDigest.digest },
        signature: { content: messageSignature.signature, verifier },
      } });
    return { ...bundle, verificationMaterial: { ...bundle.verificationMaterial, tlogEntries: [entry] } };
  }
}

const keySigner = ({ publicKey, privateKey }) => ({
  sign: async (data) => ({
    signature: crypto.sign('sha256', data, privateKey),
    key: { $case: 'publicKey', publicKey: pem(publicKey), hint: sha256(der(publicKey)).toString('base64') },
  }),
});

const statement = (bytes, says = SIGNS) => ({
  type: 'application/vnd.in-toto+json',
  data: Buffer.from(JSON.stringify({
    _type: 'https://in-toto.io/Statement/v1', subject: [{ name: 'app', digest: { sha256: sha256(bytes).toString('hex') } }],
    predicateType: says, predicate: {},
  })),
});

const simple = (bytes) => Buffer.from(JSON.stringify({
  critical: {
    identity: { 'docker-reference': '127.0.0.1/app' }, type: 'cosign container image signature',
    image: { 'docker-manifest-digest': `sha256:${sha256(bytes).toString('hex')}` },
  },
  optional: null,
}));

async function main() {
  const [own, other] = [keyPair(), keyPair()];
  const good = await new Installation().start();
  const foreign = await new Installation().start();
  const late = await new Installation().start({ logClock: new Date(Date.now() + 3_600_000) });
  const unlogged = await new Installation().start({ withCertificateLog: false });
  write('cosign.pub', pem(own.publicKey));
  write('other.pub', pem(other.publicKey));
  write('cosign.key', own.privateKey.export({ format: 'pem', type: 'pkcs8' }));
  write('older.key', own.privateKey.export({ format: 'pem', type: 'sec1' }));
  write('root.json', good.root());
  write('clocks.json', good.root({ logs: false }));
  write('logs.json', good.root({ clocks: false }));
  write('late.json', late.root());
  write('unlogged.json', unlogged.root());
  write('uncertified.json', unlogged.root({ certificateLogs: false }));

  const envelope = async (name, artifact, signer, witnesses) =>
    write(name, bundleToJSON(await new DSSEBundleBuilder({ signer, witnesses }).create(artifact)));
  const message = async (name, data, signer, witnesses) =>
    write(name, bundleToJSON(await new MessageSignatureBundleBuilder({ signer, witnesses }).create({ data })));
  const changed = Buffer.concat([manifest, Buffer.from(' ')]);
  await envelope('key.json', statement(manifest), keySigner(own), []);
  await envelope('key-of-other-bytes.json', statement(changed), keySigner(own), []);
  await envelope('key-of-other-statement.json', statement(manifest, 'https://slsa.dev/provenance/v1'), keySigner(own), []);
  await envelope('key-logged.json', statement(manifest), keySigner(own), [good.log()]);
  const plain = crypto.generateKeyPairSync('ed25519');
  const hint = sha256(der(plain.publicKey)).toString('base64');
  const pure = (damage) => ({
    sign: async (data) => ({
      signature: crypto.sign(null, damage ? Buffer.concat([data, Buffer.from(' ')]) : data, plain.privateKey),
      key: { $case: 'publicKey', publicKey: pem(plain.publicKey), hint },
    }),
  });
  write('ed25519.pub', pem(plain.publicKey));
  await envelope('ed25519.json', statement(manifest), pure(false), []);
  await envelope('ed25519-other-form.json', statement(manifest), pure(true), []);
  await envelope('foreign-key.json', statement(manifest), keySigner(other), []);
  await message('key-of-file.json', file, keySigner(own), []);
  await message('key-of-other-file.json', Buffer.concat([file, Buffer.from(' ')]), keySigner(own), []);
  await message('identity-of-file.json', file, good.signer(), [good.log()]);
  await message('message.json', manifest, good.signer(), [good.log()]);
  await envelope('identity.json', statement(manifest), good.signer(), [good.log()]);
  await envelope('identity-intoto.json', statement(manifest), good.signer(), [good.log('intoto')]);
  await envelope('identity-stamped.json', statement(manifest), good.signer(), [good.stamp()]);
  await envelope('identity-unwitnessed.json', statement(manifest), good.signer(), []);
  await envelope('foreign-identity.json', statement(manifest), foreign.signer(), [foreign.log()]);
  await envelope('foreign-authority.json', statement(manifest), foreign.signer(), [good.log()]);
  await envelope('foreign-log.json', statement(manifest), good.signer(), [foreign.log()]);
  await envelope('late.json.bundle', statement(manifest), late.signer(), [late.log()]);
  await envelope('unlogged-certificate.json', statement(manifest), unlogged.signer(), [unlogged.log()]);

  await message('message-stamped.json', manifest, good.signer(), [good.stamp()]);
  const read = (name) => JSON.parse(fs.readFileSync(path.join(directory, name)));
  const identity = read('identity.json');
  const stamped = read('identity-stamped.json');
  const newer = new NewerLog('log2026.example');
  write('newer.root.json', { ...good.root(), tlogs: [newer.trusted()] });
  write('newer.clockless.json', { ...good.root({ clocks: false }), tlogs: [newer.trusted()] });
  write('newer.json', newer.add(stamped));
  write('newer-message.json', newer.add(read('message-stamped.json')));
  write('newer-entry-of-another.json', {
    ...stamped,
    verificationMaterial: {
      ...stamped.verificationMaterial,
      tlogEntries: newer.add(read('message-stamped.json')).verificationMaterial.tlogEntries,
    },
  });
  const otherTree = newer.add(stamped);
  otherTree.verificationMaterial.tlogEntries[0].inclusionProof.hashes.reverse();
  write('newer-other-tree.json', otherTree);
  // What clients of logs of the newer kind need not have: all of it is in the checkpoint, or outside of the proof.
  const sparse = newer.add(read('identity-stamped.json'));
  const [sparseEntry] = sparse.verificationMaterial.tlogEntries;
  ['logIndex', 'rootHash', 'treeSize'].forEach((key) => delete sparseEntry.inclusionProof[key]);
  write('newer-sparse.json', sparse);
  sparseEntry.logIndex = '2';
  write('newer-sparse-elsewhere.json', sparse);
  const { logId, ...unnamed } = newer.trusted();
  write('newer.checkpoints.json', { ...good.root(), tlogs: [{ ...unnamed, checkpointKeyId: logId }] });
  // What belongs to another signature.
  const again = bundleToJSON(await new DSSEBundleBuilder({ signer: good.signer(), witnesses: [good.log(), good.stamp()] }).create(statement(manifest)));
  identity.verificationMaterial.tlogEntries = again.verificationMaterial.tlogEntries;
  write('entry-of-another.json', identity);
  stamped.verificationMaterial.timestampVerificationData = again.verificationMaterial.timestampVerificationData;
  write('stamp-of-another.json', stamped);
  const damaged = read('identity.json');
  const signature = Buffer.from(damaged.dsseEnvelope.signatures[0].sig, 'base64');
  signature[signature.length - 1] ^= 1;
  damaged.dsseEnvelope.signatures[0].sig = signature.toString('base64');
  write('damaged.json', damaged);

  const oldOfKey = (pair, payload) => ({
    payload: payload.toString(),
    annotations: { 'dev.cosignproject.cosign/signature': crypto.sign('sha256', payload, pair.privateKey).toString('base64') },
  });
  write('key.old.json', oldOfKey(own, simple(manifest)));
  write('foreign-key.old.json', oldOfKey(other, simple(manifest)));
  write('key-of-other-bytes.old.json', oldOfKey(own, simple(changed)));
  const logged = oldOfKey(own, simple(manifest));
  const made = logged.annotations['dev.cosignproject.cosign/signature'];
  logged.annotations['dev.sigstore.cosign/bundle'] = await good.annotation(simple(manifest), made, pem(own.publicKey));
  write('key-logged.old.json', logged);
  write('identity.old.json', await good.old(simple(manifest)));
  write('late.old.json', await late.old(simple(manifest)));
  write('unwitnessed.old.json', await good.old(simple(manifest), { logged: false }));
  write('entry-of-another.old.json', await good.old(simple(manifest), { entryOf: simple(changed) }));
  write('foreign-identity.old.json', await foreign.old(simple(manifest)));
  // Witnesses that nobody knows, and a log that is not used any more.
  await envelope('logged-twice.json', statement(manifest), good.signer(), [foreign.log(), good.log()]);
  await envelope('stamped-twice.json', statement(manifest), good.signer(), [foreign.stamp(), good.stamp()]);
  await envelope('foreign-stamp.json', statement(manifest), good.signer(), [foreign.stamp()]);
  const retired = newer.trusted();
  retired.publicKey.validFor = { start: '2020-01-01T00:00:00.000Z', end: '2021-01-01T00:00:00.000Z' };
  write('newer.retired.json', { ...good.root(), tlogs: [retired] });
  [good, foreign, late, unlogged].forEach((installation) => installation.server.close());
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
