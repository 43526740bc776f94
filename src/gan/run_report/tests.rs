//! Reports of whole runs, of what is left of runs, and of what was never one.

use super::*;
use crate::Device;
use crate::atomic::{faults, tests::Folder};
use crate::data::{Dataset, Images};
use crate::gan::{Event, TrainConfig, Watch, run_training, zoo};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Pictures that show their class, of two.
fn data() -> Arc<Dataset> {
    let labels: Vec<u32> = (0..40).map(|i| i % 2).collect();
    let pixels = (0..40 * 9).map(|i| (i * 37 % 100 + i / 9 % 2 * 150) as u8).collect();
    let images = Images { count: 40, channels: 1, rows: 3, cols: 3, pixels };
    Arc::new(Dataset {
        images,
        labels: Some(labels),
        classes: vec!["0".into(), "1".into()],
        name: "<tiny>".into(),
    })
}

/// Trains a few steps into a folder and gives its path; `change` makes the recipe's settings others.
fn trained(f: &Folder, name: &str, recipe: &str, change: impl Fn(&mut TrainConfig)) -> PathBuf {
    let base = (zoo::recipe(recipe).unwrap().config)();
    let mut config = TrainConfig {
        steps: 12,
        batch: 4,
        latent: 3,
        log_every: 1,
        sample_every: 4,
        checkpoint_every: 6,
        ..base
    };
    change(&mut config);
    let dir = f.0.join(name);
    let mut trainer = Trainer::new(config, data(), Device::Cpu).unwrap();
    let run = Run::create(Some(&dir), "tiny", trainer.config()).unwrap();
    let mut wrote = Vec::new();
    let mut on = |event: Event| match event {
        Event::Wrote(path) => wrote.push(path.to_path_buf()),
        Event::Failed(e) => panic!("{e}"),
        _ => {}
    };
    run_training(&mut trainer, &run, Watch::default(), &AtomicBool::new(false), &mut on).unwrap();
    assert_eq!(wrote.last(), Some(&dir.join(FILE)), "the report comes last");
    dir
}

/// The page of a folder whose data is at hand.
fn html(dir: &Path) -> String {
    page(&Material::at_end(dir, data()).unwrap()).html()
}

/// Every picture of a page, decoded.
fn pictures(html: &str) -> Vec<(u32, u32)> {
    let url = "data:image/png;base64,";
    let digit = |b: u8| match b {
        b'A'..=b'Z' => b - b'A',
        b'a'..=b'z' => b - b'a' + 26,
        b'0'..=b'9' => b - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        other => panic!("{} is no digit of base64", char::from(other)),
    };
    let decoded = |text: &str| -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().take_while(|b| !b"\"=".contains(b)).map(digit).collect();
        let bits = digits.chunks(4).map(|four| {
            let bits = four.iter().fold(0u32, |bits, d| bits << 6 | u32::from(*d)) << (6 * (4 - four.len()));
            bits.to_be_bytes()[1..four.len()].to_vec()
        });
        bits.flatten().collect()
    };
    let size = |text: &str| {
        let picture = image::load_from_memory(&decoded(text)).unwrap();
        (picture.width(), picture.height())
    };
    html.split(url).skip(1).map(size).collect()
}

/// Elements that a page opens are closed in their order.
fn balanced(html: &str) {
    let open_only = ["meta", "link", "img", "input", "!doctype"];
    let mut open: Vec<&str> = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let name = rest.split(|c: char| !(c.is_alphanumeric() || c == '/' || c == '!')).next().unwrap();
        let closed = rest[..rest.find('>').unwrap()].ends_with('/');
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{}", &rest[..60.min(rest.len())]),
            None if open_only.contains(&name) || closed => {}
            None => open.push(name),
        }
        // What is in a script is no markup.
        if ["script", "style"].contains(&name) {
            rest = &rest[rest.find(&format!("</{name}")).unwrap()..];
        }
    }
    assert_eq!(open, [""; 0]);
}

#[test]
fn a_run_ends_with_its_report_and_the_same_folder_gives_the_same_bytes() {
    let f = Folder::new("report");
    for (name, recipe) in [("plain", "mlp-a"), ("labels", "cgan"), ("packs", "mlp")] {
        let dir = trained(&f, name, recipe, |c| c.step.pack = if name == "packs" { 2 } else { 1 });
        let written = fs::read_to_string(dir.join(FILE)).unwrap();
        assert!(written == html(&dir), "{name}");
        balanced(&written);
        for id in [
            "setup",
            "samples",
            "quality",
            "alarms",
            "curves",
            "outputs",
            "latent",
            "neighbours",
            "classes",
            "time",
        ] {
            assert!(written.contains(&format!("<section id=\"{id}\">")), "{name}: {id}");
            assert!(written.contains(&format!("<a href=\"#{id}\">")), "{name}: {id}");
        }
        // Four grids and the real one; ways, and for labels classes; ten samples and the nearest of each.
        let sizes = pictures(&written);
        let (latent, pairs) = (if name == "labels" { 2 } else { 1 }, 20);
        assert_eq!(sizes.len(), 4 + 1 + latent + pairs, "{name}");
        assert_eq!(sizes.iter().filter(|s| **s == (3, 3)).count(), pairs);
        let judged = if name == "packs" { (20, 512) } else { (40, 1024) };
        assert!(written.contains(&format!("real, trained on ({})", judged.0)), "{name}");
        assert!(written.contains(&format!("samples ({})", judged.1)), "{name}");
        assert!(written.contains("&lt;tiny&gt;") && !written.contains("<tiny>"));
        assert!(written.contains("Before the first step") && written.contains("After step 12"));
        assert!(!written.contains("http-equiv=\"refresh") && !written.contains("src=\"http"));
    }
}

#[test]
fn what_a_folder_lacks_is_said() {
    let f = Folder::new("report-lacks");
    let dir = trained(&f, "run", "mlp-a", |_| {});
    let whole = html(&dir);
    assert!(
        whole.contains("No alarms") && whole.contains("ganvil evaluate RUN") && whole.contains("--profile")
    );
    let cases: [(&str, &[&str]); 5] = [
        ("samples/real.png", &["The grid of real images"]),
        ("samples", &["There is no sample grid"]),
        ("log.jsonl", &["There is no log"]),
        ("environment.json", &[]),
        ("checkpoints", &["There is no checkpoint"]),
    ];
    for (gone, said) in cases {
        let path = dir.join(gone);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap()
        } else {
            fs::remove_file(&path).unwrap()
        }
        let html = html(&dir);
        balanced(&html);
        pictures(&html);
        said.iter().for_each(|words| assert!(html.contains(words), "{gone}: {words}"));
    }
    fs::write(dir.join("config.toml"), "recipe = \"<of another version>\"").unwrap();
    let html = html(&dir);
    assert!(html.contains("cannot be read by this version") && !html.contains("<of another"));
    balanced(&html);
    fs::remove_file(dir.join("config.toml")).unwrap();
    let error = write_report(&dir, None, None).unwrap_err().to_string();
    assert!(error.contains("config.toml") && error.contains("ganvil list"), "{error}");
}

/// Whatever is in the files, the page stays one.
#[test]
fn damage_is_said_and_markup_is_text() {
    let f = Folder::new("report-damage");
    let dir =
        trained(&f, "<b>run & 'more'\"", "mlp-a", |c| c.name = Some("<script>alert(1)</script>".into()));
    let evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>";
    let lines = |file: &str, lines: &[serde_json::Value]| {
        let text: String = lines.iter().map(|l| format!("{l}\n")).collect();
        fs::write(dir.join(file), text).unwrap();
    };
    use serde_json::json;
    lines(
        "alarms.jsonl",
        &[
            json!({"step": 3, "alarm": evil, "evidence": evil, "meaning": evil, "remedies": [format!("--x 1: {evil}"), 7]}),
            json!({"alarm": null}),
            json!({}),
        ],
    );
    lines(
        "metrics.jsonl",
        &[
            json!({"step": 6, "kimg": 0.024, "metrics": {"fid": {"value": 3.5}, "mine": 2, "odd": {"value": "text"}}}),
            json!({"step": 12, "kimg": 0.048, "n_fake": 10000, "n_real": 9000, "against": evil, "features": evil, "feature_sha256": evil,
                "metrics": {"fid": {"value": 1.25, "deviation": 0.5, "floor": 0.1, "ratio": 12.5}, "new_one": {"value": 7.0, "floor": null}, "mine": 2, evil: {}},
                "findings": [{"kind": "collapsed", "text": evil}, {"kind": 3}, "in words"]}),
        ],
    );
    lines("environment.json", &[json!([{"cpu": evil, "command": evil, "threads": []}, 3])]);
    fs::write(dir.join("samples/kimg-00009.0.png"), "no picture").unwrap();
    let mut log = fs::read_to_string(dir.join("log.jsonl")).unwrap();
    log += &format!(
        "{}\n",
        json!({"step": 13, evil: 1.5, "d_loss": null, "sigma": {evil: 1.0}, "g_loss": 1e300})
    );
    fs::write(dir.join("log.jsonl"), log).unwrap();
    fs::write(
        dir.join("profile.json"),
        json!({"traceEvents": [{"ph": "X", "name": evil, "cat": "kernel", "dur": 5.0}]}).to_string(),
    )
    .unwrap();
    let page = html(&dir);
    balanced(&page);
    assert!(
        !page.contains("<img src=x")
            && !page.contains("<b>run")
            && page.contains("&lt;b&gt;run &amp; &#39;more&#39;&quot;")
    );
    assert_eq!(page.matches("alert(1)</script>").count(), 0);
    for words in
        ["1.25 \u{b1} 0.5", "12.5 \u{d7}", "New one", "Mine", "in words", "Collapsed", "not shown: 1."]
    {
        assert!(page.contains(words), "{words}");
    }
    assert_eq!(pictures(&page).len(), 4 + 1 + 1 + 20);
    for file in ["alarms.jsonl", "metrics.jsonl", "log.jsonl", "profile.json", "environment.json"] {
        fs::write(dir.join(file), "\u{0}<b>\n[]\n{\n").unwrap();
        let page = html(&dir);
        assert!(
            file == "environment.json" || page.contains("cannot be read") || page.contains("is no record"),
            "{file}"
        );
        balanced(&page);
    }
    // The newest checkpoint is damaged: the one before is taken, and nothing is moved or mended.
    let newest = crate::gan::latest_checkpoint(&dir).unwrap();
    fs::write(&newest, "damaged").unwrap();
    assert!(html(&dir).contains("step 6</dd>"));
    assert_eq!(fs::read(&newest).unwrap(), b"damaged");
}

#[test]
fn other_data_is_not_taken_for_the_runs() {
    let f = Folder::new("report-data");
    let dir = trained(&f, "run", "mlp-a", |_| {});
    let mut other = (*data()).clone();
    other.images.pixels[0] ^= 1;
    let page = page(&Material::at_end(&dir, Arc::new(other)).unwrap()).html();
    assert!(page.contains("not what the run was trained on") && !page.contains("training image 0"));
    // What needs no data is there.
    assert!(page.contains("Ways between two latent vectors") && page.contains("samples (1024)"));
}

#[test]
fn many_grids_are_spread_and_a_page_that_cannot_be_written_fails_no_run() {
    let f = Folder::new("report-many");
    let dir = trained(&f, "run", "mlp-a", |c| (c.steps, c.sample_every) = (60, 1));
    let page = html(&dir);
    assert_eq!(pictures(&page).len(), 24 + 1 + 1 + 20);
    assert!(
        page.contains("Before the first step")
            && page.contains("After step 60")
            && page.contains("not shown: 37.")
    );
    // The page alone, on a disk that is full.
    let (written, _) =
        faults::with(faults::Plan { bytes: 100, ..faults::NONE }, || write_report(&dir, None, None));
    assert!(written.unwrap_err().to_string().contains("report.html"));
    fs::remove_file(dir.join(FILE)).unwrap();
    fs::create_dir(dir.join(FILE)).unwrap();
    let run = Run::open(&dir).unwrap();
    let mut config = run.config().unwrap();
    config.steps = 61;
    let mut trainer = crate::gan::resume(&run, &config, &data(), Device::Cpu).unwrap().trainer;
    let mut failed = 0;
    let mut on = |event: Event| failed += i32::from(matches!(event, Event::Failed(_)));
    run_training(&mut trainer, &run, Watch::default(), &AtomicBool::new(false), &mut on).unwrap();
    assert_eq!(failed, 1);
}
