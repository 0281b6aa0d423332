//! Says whether the console was built, so that it is embedded or its absence explained.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(console_built)");
    println!("cargo::rerun-if-changed=../../console/dist");
    if std::path::Path::new("../../console/dist/index.html").is_file() {
        println!("cargo::rustc-cfg=console_built");
    }
}
