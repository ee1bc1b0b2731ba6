{
  # Our one addon. The hash kernel is compiled once per instruction set, each into a library of its own, so that no
  # other function can pick up instructions the processor may lack; blake3.cc chooses between them while running.
  "target_defaults": {
    "cflags": ["-O3", "-fvisibility=hidden", "-Wall", "-Wextra"],
    "defines": ["NAPI_VERSION=8", "_FILE_OFFSET_BITS=64"]
  },
  "targets": [
    {
      "target_name": "bcoopfs",
      "sources": [
        "addon.cc",
        "bridge.cc",
        "scan.cc",
        "xattr.cc",
        "content.cc",
        "make.cc",
        "attributes.cc",
        "lock.cc",
        "mount.cc",
        "sync.cc",
        "hash.cc",
        "blake3.cc"
      ],
      "dependencies": ["blake3_128"],
      "conditions": [["target_arch=='x64'", { "dependencies": ["blake3_256", "blake3_512"] }]]
    },
    {
      "target_name": "blake3_128",
      "type": "static_library",
      "sources": ["blake3_lanes.cc"],
      "defines": ["BLAKE3_LANES=4"],
      "conditions": [["target_arch=='x64'", { "cflags": ["-msse4.1"] }]]
    }
  ],
  "conditions": [
    ["target_arch=='x64'", {
      "targets": [
        {
          "target_name": "blake3_256",
          "type": "static_library",
          "sources": ["blake3_lanes.cc"],
          "defines": ["BLAKE3_LANES=8"],
          "cflags": ["-mavx2"]
        },
        {
          "target_name": "blake3_512",
          "type": "static_library",
          "sources": ["blake3_lanes.cc"],
          "defines": ["BLAKE3_LANES=16"],
          "cflags": ["-mavx512f", "-mavx512vl"]
        }
      ]
    }]
  ]
}
