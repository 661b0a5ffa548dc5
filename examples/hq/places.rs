//! The places of one run, as the interop runner lays them out: what is served, what was fetched, who certifies whom.

use crate::folder::Folder;

/// The places of one run, as the runner lays them out.
pub struct Places {
    folder: Folder,
}

impl Places {
    pub fn new() -> Self {
        let folder = Folder::new();
        for name in ["www", "downloads", "certs"] {
            std::fs::create_dir(folder.path().join(name)).expect("a folder can be made");
        }
        let places = Self { folder };
        places.certify(1);
        places
    }

    /// Makes the runner's certificates: `length` of them from the server's to the one below the CA's.
    pub fn certify(&self, length: usize) {
        let key = || rcgen::KeyPair::generate().expect("a key can be made");
        let params = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            rcgen::CertificateParams::new(names).expect("names")
        };
        let authority = |number: usize| {
            let mut params = params(&[]);
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            params.distinguished_name.push(rcgen::DnType::OrganizationName, format!("authority {number}"));
            params
        };
        let mut issuer = rcgen::Issuer::new(authority(0), key());
        let root = authority(0).self_signed(issuer.key()).expect("a certificate can be made");
        self.folder.write("certs/ca.pem", root.pem().as_bytes());
        let mut chain = String::new();
        for number in 1..length {
            let key = key();
            let certificate = authority(number).signed_by(&key, &issuer).expect("it can be certified");
            chain.insert_str(0, &certificate.pem());
            issuer = rcgen::Issuer::new(authority(number), key);
        }
        let key = key();
        let leaf = params(&["localhost"]).signed_by(&key, &issuer).expect("it can be certified");
        chain.insert_str(0, &leaf.pem());
        self.folder.write("certs/cert.pem", chain.as_bytes());
        self.folder.write("certs/priv.key", key.serialize_pem().as_bytes());
    }

    pub fn place(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Files of these lengths, whose contents nobody mistakes for another's.
    pub fn files(&self, lengths: &[usize]) -> Vec<String> {
        let file = |(number, len): (usize, &usize)| {
            let name = format!("file-{number}");
            // It begins anew after that: tests are not to spend their time here.
            let period = (0..251 * 256).map(|at| (at * 31 + at / 251 + number * 7) as u8);
            let mut contents = period.collect::<Vec<u8>>().repeat(len / (251 * 256) + 1);
            contents.truncate(*len);
            self.folder.write(&format!("www/{name}"), &contents);
            name
        };
        lengths.iter().enumerate().map(file).collect()
    }

    pub fn assert_fetched(&self, names: &[String]) {
        for name in names {
            let read = |place: &str| std::fs::read(self.place(place).join(name));
            let (sent, received) = (read("www").expect("it was written"), read("downloads"));
            assert!(received.is_ok_and(|received| received == sent), "{name} did not arrive as it was");
        }
    }
}
