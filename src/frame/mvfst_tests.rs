//! Every migration frame that mvfst was seen to send or to be sent.

use serde_json::Value;

use super::tests::{read, resent};
use super::{Frame, FrameKind, ServerMigration};

fn seen() -> Vec<(String, String, Vec<u8>)> {
    let data: Value = serde_json::from_str(include_str!("../../tests/data/mvfst.json")).expect("JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let frames = data["migration_frames"].as_array().expect("a list");
    let bytes = |hex: &Value| {
        let hex = text(hex);
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
    };
    frames.iter().map(|seen| (text(&seen["file"]), text(&seen["frame"]), bytes(&seen["bytes"]))).collect()
}

#[test]
fn every_migration_frame_is_read_and_written_again_to_the_same_bytes() {
    let seen = seen();
    assert_eq!(seen.len(), 44);
    for (file, name, bytes) in seen {
        let frames = read(&bytes).expect(&file);
        assert_eq!(frames.len(), 1, "{file}");
        assert_eq!(frames[0].kind().name(), name, "{file}");
        assert_eq!(resent(&frames[0]).0, bytes, "{file}");
    }
}

#[test]
fn each_strategys_frames_are_where_the_recordings_have_them() {
    let kinds = |file: &str| -> Vec<FrameKind> {
        let of_file = seen().into_iter().filter(|(seen, ..)| seen == file);
        of_file.map(|(_, _, bytes)| read(&bytes).expect("a frame")[0].kind()).collect()
    };
    assert_eq!(kinds("explicit-reactive"), [FrameKind::ServerMigration]);
    assert_eq!(kinds("pool-of-addresses"), [FrameKind::PoolMigrationAddress; 3]);
    assert_eq!(kinds("symmetric"), [FrameKind::ServerMigrated]);
    let synchronized = [FrameKind::ServerMigration, FrameKind::ServerMigrated];
    assert_eq!(kinds("synchronized-symmetric"), synchronized);
}

#[test]
fn the_announcement_of_synchronized_symmetric_names_no_target() {
    let (_, _, bytes) =
        seen().into_iter().find(|(file, ..)| file == "synchronized-symmetric").expect("recorded");
    assert_eq!(read(&bytes), Ok(vec![Frame::ServerMigration(ServerMigration::Announce)]));
}
