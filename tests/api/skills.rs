//! The operations under `/skills`. A package is a ZIP file with a `SKILL.md`.

use conductor_sync::{AgentStartRequest, ErrorKind, SkillDeployRequest};

use super::{Api, LONG, fails, just_now, lost, missing};

/// The check sum of a file in a ZIP file.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

/// A ZIP file that holds these files as they are.
fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
    let short = |n: usize| u16::try_from(n).unwrap().to_le_bytes();
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let place = size(&out);
        let version_to_date: &[u8] = &[10, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
        let sums = [&crc32(content).to_le_bytes()[..], &size(content), &size(content), &short(name.len())].concat();
        out.extend([b"PK\x03\x04", version_to_date, &sums, &[0, 0], name.as_bytes(), content].concat());
        directory.extend([b"PK\x01\x02\x0a\0", version_to_date, &sums, &[0; 12], &place, name.as_bytes()].concat());
    }
    let (n_files, place) = (short(files.len()), size(&out));
    let end = [b"PK\x05\x06\0\0\0\0", &n_files[..], &n_files, &size(&directory), &place, &[0, 0]].concat();
    [out, directory, end].concat()
}

/// The package of the skill `s`, which holds every kind of file.
fn package(api: &Api) -> Vec<u8> {
    let text = format!("---\nname: {}\ndescription: greets\n---\nSay hello.\n", api.name("s"));
    // What could be taken for the end of a part of a form.
    let bytes = b"\r\n--conductor-sync-form--\r\n\0\xff";
    zip(&[("SKILL.md", text.as_bytes()), ("note.txt", "ü\n".as_bytes()), ("data.bin", bytes)])
}

fn registered(api: &Api) -> String {
    api.client.skills().register(Some("1"), &package(api)).unwrap();
    api.name("s")
}

pub(crate) fn register(api: &Api) {
    let skills = api.client.skills();
    let skill = skills.register(Some("1"), &package(api)).unwrap();
    assert_eq!((&skill.name, skill.version.as_str()), (&api.name("s"), "1"));
    assert_eq!(skill.description.as_deref(), Some("greets"));
    let files: Vec<_> = skill.files.iter().map(|file| (file.path.as_str(), file.size)).collect();
    assert!(files.contains(&("note.txt", 3)) && files.contains(&("data.bin", 29)), "{files:?}");
    just_now(skill.created_at());
    just_now(skill.updated_at());
    let unnamed = skills.register(None, &package(api)).unwrap();
    assert!(unnamed.checksum.unwrap().starts_with(&unnamed.version) && unnamed.version.len() == 12);
    assert_eq!(skills.register(Some("1"), &package(api)).unwrap().created_at, skill.created_at, "it is there");
}

pub(crate) fn list(api: &Api) {
    let (skills, name) = (api.client.skills(), registered(api));
    skills.register(Some("2"), &package(api)).unwrap();
    let of = |list: Vec<conductor_sync::SkillSummary>| list.into_iter().filter(|skill| skill.name == name).collect();
    let latest: Vec<_> = of(skills.list().unwrap());
    assert_eq!((latest.len(), latest[0].version.as_str(), latest[0].file_count), (1, "2", Some(3)));
    just_now(latest[0].created_at());
    just_now(latest[0].updated_at());
    let all: Vec<_> = of(skills.all_versions().unwrap());
    assert_eq!(all.iter().map(|skill| skill.version.as_str()).collect::<Vec<_>>(), ["1", "2"]);
}

pub(crate) fn get(api: &Api) {
    let (skills, name) = (api.client.skills(), registered(api));
    let skill = skills.get(&name, "1").unwrap();
    assert_eq!(skills.latest(&name).unwrap(), skill);
    assert_eq!(skills.get(&name, "latest").unwrap(), skill);
    assert_eq!(skills.get(&name, &skill.checksum.as_ref().unwrap()[..8]).unwrap(), skill);
    assert!(skill.raw_config["skillMd"].get().contains("Say hello."));
}

/// Text comes as text, other bytes in Base64; the package comes as it was registered.
pub(crate) fn content(api: &Api) {
    let (skills, name) = (api.client.skills(), registered(api));
    let text = skills.file(&name, "1", "note.txt").unwrap();
    assert_eq!((text.content.as_deref(), text.binary), (Some("ü\n"), false));
    let bytes = skills.file(&name, "1", "data.bin").unwrap();
    assert_eq!((bytes.content, bytes.binary, bytes.size), (None, true, 29));
    assert_eq!(bytes.content_base64.as_deref(), Some("DQotLWNvbmR1Y3Rvci1zeW5jLWZvcm0tLQ0KAP8="));
    assert!(skills.package(&name, "1").unwrap() == package(api));
}

/// The agent can be started by the name of the skill; so can the skill itself.
pub(crate) fn deploy(api: &Api) {
    let (skills, name) = (api.client.skills(), registered(api));
    let agent = skills.deploy(&name, "1", &SkillDeployRequest::new("openai/none")).unwrap();
    assert_eq!((&agent.agent_name, agent.execution_id), (&name, None));
    let agents = api.client.agents();
    let summary = agents.list().unwrap().into_iter().find(|agent| agent.name == name).unwrap();
    assert_eq!(summary.agent_type.as_deref(), Some("skill"));
    let started = agents.start(&AgentStartRequest::of_skill(&name, "1", "openai/none").prompt("hello")).unwrap();
    let id = started.execution_id.unwrap();
    agents.cancel(&id, None).unwrap();
    assert!(api.client.workflows().wait(&id, LONG).unwrap().status.is_terminal());
}

pub(crate) fn delete(api: &Api) {
    let (skills, name) = (api.client.skills(), registered(api));
    skills.delete(&name, "1").unwrap();
    missing(skills.get(&name, "1"));
    skills.delete(&name, "1").unwrap();
}

pub(crate) mod refused {
    use super::*;

    pub(crate) fn register(api: &Api) {
        let skills = api.client.skills();
        let rejected = |bytes: &[u8]| fails(skills.register(Some("1"), bytes), ErrorKind::Rejected).to_string();
        assert!(rejected(b"no package").contains("SKILL.md"));
        registered(api);
        let other = zip(&[("SKILL.md", format!("---\nname: {}\n---\n", api.name("s")).as_bytes())]);
        assert!(rejected(&other).contains("already exists with a different checksum"));
    }

    pub(crate) fn list(api: &Api) {
        lost(api.elsewhere().skills().list());
        lost(api.elsewhere().skills().all_versions());
    }

    pub(crate) fn get(api: &Api) {
        missing(api.client.skills().latest(&api.name("s")));
        // What begins a checksum is a version, too.
        missing(api.client.skills().get(&registered(api), "z"));
    }

    pub(crate) fn content(api: &Api) {
        missing(api.client.skills().file(&api.name("s"), "1", "note.txt"));
        missing(api.client.skills().package(&api.name("s"), "1"));
        missing(api.client.skills().file(&registered(api), "1", "no such file"));
    }

    pub(crate) fn deploy(api: &Api) {
        missing(api.client.skills().deploy(&api.name("s"), "1", &SkillDeployRequest::new("openai/none")));
        fails(api.client.skills().deploy(&registered(api), "1", &SkillDeployRequest::default()), ErrorKind::Rejected);
    }

    pub(crate) fn delete(api: &Api) {
        missing(api.client.skills().delete(&api.name("s"), "latest"));
    }
}
