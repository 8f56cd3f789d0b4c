// RUN: pianola-opt %s -split-input-file -verify-diagnostics

schedule.program @p slots = 1 {
  %x = schedule.buffer "x" : !tile.buffer<1 x 32 x f32>
  // expected-error @+1 {{"a" plays unknown stage @missing}}
  schedule.step "a" @missing(%x) : !tile.buffer<1 x 32 x f32>
}

// -----

tile.stage @copy(%x: !tile.buffer<1 x 64 x f32>, %y: !tile.buffer<1 x 64 x f32>) {
  tile.section grid = [4] {
  ^bb0(%t: index):
  }
}
schedule.program @p slots = 1 {
  %x = schedule.buffer "x" : !tile.buffer<1 x 64 x f32>
  // expected-error @+1 {{"a" binds 1 values and 0 weights; @copy takes 2 and 0}}
  schedule.step "a" @copy(%x) : !tile.buffer<1 x 64 x f32>
}

// -----

tile.stage @copy(%x: !tile.buffer<1 x 64 x f32>) {
  tile.section grid = [4] {
  ^bb0(%t: index):
  }
}
schedule.program @p slots = 1 {
  %x = schedule.buffer "x" : !tile.buffer<1 x 32 x f32>
  // expected-error @+1 {{"a" binds '!tile.buffer<1 x 32 x f32>' to argument 0 of @copy, which is '!tile.buffer<1 x 64 x f32>'}}
  schedule.step "a" @copy(%x) : !tile.buffer<1 x 32 x f32>
}

// -----

tile.stage @s(%x: !tile.buffer<1 x 64 x f32>) {
  tile.section grid = [4] {
  ^bb0(%t: index):
  }
}
schedule.program @p slots = 1 {
  %x = schedule.buffer "x" : !tile.buffer<1 x 64 x f32>
  // expected-error @+1 {{"a" computes tile 1 twice}}
  schedule.step "a" @s(%x) tiles [[0, 2], [1, 4]] : !tile.buffer<1 x 64 x f32>
}

// -----

tile.stage @s(%x: !tile.buffer<1 x 64 x f32>) {
  tile.section grid = [4] {
  ^bb0(%t: index):
  }
}
schedule.program @p slots = 1 {
  %x = schedule.buffer "x" : !tile.buffer<1 x 64 x f32>
  // expected-error @+1 {{"a" computes tile 3 on no worker}}
  schedule.step "a" @s(%x) tiles [[0, 2], [2, 3]] : !tile.buffer<1 x 64 x f32>
}

// -----

tile.stage @s(%x: !tile.buffer<1 x 64 x f32>) {
  tile.section grid = [4] {
  ^bb0(%t: index):
  }
}
schedule.program @p slots = 1 {
  %x = schedule.buffer "x" : !tile.buffer<1 x 64 x f32>
  // expected-error @+1 {{"a" worker 1 has tiles [2, 5) of 4}}
  schedule.step "a" @s(%x) tiles [[0, 2], [2, 5]] : !tile.buffer<1 x 64 x f32>
}

// -----

tile.stage @s(%x: !tile.buffer<1 x 64 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
  }
}
schedule.program @p slots = 1 {
  %x = schedule.buffer "x" : !tile.buffer<1 x 64 x f32>
  %e = schedule.event
  // expected-error @+1 {{"a" needs one number in `until` for each event in `waits`}}
  schedule.step "a" @s(%x) waits %e until [1, 2] : !tile.buffer<1 x 64 x f32>
}
