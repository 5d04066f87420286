// What does Sigstore's own verifier say? `verify.cjs`, with one case for each line of standard input: the bundle, the trusted root or `-`,
// the public key or `-`, and the file that is signed or `-`, separated by blanks. Prints `yes` or `no` and the reason for each.
const crypto = require('crypto');
const fs = require('fs');
const { bundleFromJSON } = require('@sigstore/bundle');
const { TrustedRoot } = require('@sigstore/protobuf-specs');
const { toSignedEntity, toTrustMaterial, Verifier } = require('@sigstore/verify');

const EMPTY = { mediaType: '', tlogs: [], certificateAuthorities: [], ctlogs: [], timestampAuthorities: [] };

function verify([bundle, root, key, file]) {
  const trusted = root === '-' ? EMPTY : JSON.parse(fs.readFileSync(root));
  const finder = () => ({ publicKey: crypto.createPublicKey(fs.readFileSync(key)), validFor: () => true });
  const material = toTrustMaterial(TrustedRoot.fromJSON(trusted), key === '-' ? undefined : finder);
  const asked = (list) => (list.length > 0 ? 1 : 0);
  const verifier = new Verifier(material, {
    tlogThreshold: asked(trusted.tlogs), ctlogThreshold: key === '-' ? asked(trusted.ctlogs) : 0,
    timestampThreshold: root === '-' ? 0 : 1,
  });
  const parsed = bundleFromJSON(JSON.parse(fs.readFileSync(bundle)));
  verifier.verify(toSignedEntity(parsed, file === '-' ? undefined : fs.readFileSync(file)));
}

for (const line of fs.readFileSync(0, 'utf8').split('\n').filter((line) => line !== '')) {
  try {
    verify(line.split(' '));
    console.log('yes');
  } catch (error) {
    console.log(`no: ${error.message.split('\n')[0]}`);
  }
}
