//! Files for others to open: what another program makes of them.

use crate::reach::python;
use child_death_review::platform::age_file::{Recipient, encrypt};

#[test]
fn another_implementation_opens_our_age_files() {
    let keys = python(
        "import pyrage\nfor _ in range(3):\n  i=pyrage.x25519.Identity.generate(); print(i.to_public(), i)",
        &[],
    );
    let keys: Vec<(&str, &str)> = keys.lines().map(|l| l.split_once(' ').unwrap()).collect();
    let to: Vec<_> =
        keys[..2].iter().map(|(public, _)| Recipient::parse(public).unwrap()).collect();
    let dir = tempfile::tempdir().unwrap();
    let plain = |n: usize| (0..n).map(|i| (i % 251) as u8).collect::<Vec<u8>>();
    let script = "import sys,pyrage,hashlib\nids=[pyrage.x25519.Identity.from_str(k) for k in sys.argv[2:]]\ndata=open(sys.argv[1],'rb').read()\nfor i in ids:\n  try:\n    p=pyrage.decrypt(data,[i]); print(len(p), p==bytes(n%251 for n in range(len(p))))\n  except Exception as e: print(type(e).__name__)";
    let open = |bytes: &[u8]| {
        let path = dir.path().join("copy.age");
        std::fs::write(&path, bytes).unwrap();
        let secrets: Vec<&str> = keys.iter().map(|(_, secret)| *secret).collect();
        python(script, &[&[path.to_str().unwrap()], secrets.as_slice()].concat())
    };
    // The edges of the 64 KiB chunks are where a writer of the format goes wrong.
    for n in [0, 1, 65_535, 65_536, 65_537, 131_072, 300_001] {
        let file = encrypt(&to, &plain(n)).unwrap();
        assert_eq!(open(&file), format!("{n} True\n{n} True\nDecryptError\n"), "{n}");
    }
    let mut cut = encrypt(&to, &plain(131_072)).unwrap();
    cut.truncate(cut.len() - 65_552);
    assert_eq!(open(&cut), "DecryptError\nDecryptError\nDecryptError\n", "a whole chunk cut off");
}
