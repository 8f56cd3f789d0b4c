# The compiler is one static library against Debian's shared LLVM and MLIR. Linking any of their
# archives beside `MLIR LLVM` would bring in a second copy.
add_library(pianola_compiler STATIC)
target_include_directories(pianola_compiler PUBLIC ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
target_include_directories(pianola_compiler SYSTEM PUBLIC ${PROJECT_BINARY_DIR} ${MLIR_INCLUDE_DIRS})
target_link_libraries(pianola_compiler PUBLIC MLIR LLVM nlohmann_json::nlohmann_json Threads::Threads)
pianola_precompile(pianola_compiler CompilerPrelude.h)

# An executable or test that uses the compiler, with its precompiled header.
function(pianola_compiler_executable name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE pianola_compiler)
  pianola_precompile(${name} REUSE_FROM pianola_compiler)
endfunction()

# pianola_tablegen(<file.td> <out> <-gen-flag>... [-- <out> <-gen-flag>...]...)
# LLVM's own tablegen() regenerates on every call under CMP0116, and add_mlir_doc writes outside of
# the build folder; this does neither.
function(pianola_tablegen td)
  cmake_path(RELATIVE_PATH CMAKE_CURRENT_SOURCE_DIR BASE_DIRECTORY ${PROJECT_SOURCE_DIR}
             OUTPUT_VARIABLE dir)
  cmake_path(GET td PARENT_PATH subdir)
  cmake_path(APPEND dir ${subdir} OUTPUT_VARIABLE dir)
  cmake_path(NORMAL_PATH dir)
  set(outputs)
  set(rest ${ARGN})
  while(rest)
    list(POP_FRONT rest out)
    set(flags)
    while(rest)
      list(POP_FRONT rest arg)
      if(arg STREQUAL "--")
        break()
      endif()
      list(APPEND flags ${arg})
    endwhile()
    set(file ${PROJECT_BINARY_DIR}/${dir}/${out})
    add_custom_command(OUTPUT ${file}
      COMMAND mlir-tblgen ${flags} -I ${PROJECT_SOURCE_DIR} -I ${LLVM_INCLUDE_DIRS}
              ${CMAKE_CURRENT_SOURCE_DIR}/${td} -o ${file} -d ${file}.d --write-if-changed
      DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${td} DEPFILE ${file}.d COMMENT "${dir}/${out}" VERBATIM)
    list(APPEND outputs ${file})
  endwhile()
  string(MAKE_C_IDENTIFIER "tablegen_${dir}_${td}" target)
  add_custom_target(${target} DEPENDS ${outputs})
  add_dependencies(pianola_compiler ${target})
endfunction()

# pianola_dialect(<folder> <Name>): what every dialect generates from <folder>/<Name>.td.
function(pianola_dialect folder name)
  pianola_tablegen(${folder}/${name}.td
    ${name}.h.inc -gen-op-decls -- ${name}.cpp.inc -gen-op-defs --
    ${name}Dialect.h.inc -gen-dialect-decls -dialect=${folder} --
    ${name}Dialect.cpp.inc -gen-dialect-defs -dialect=${folder} --
    ${name}Types.h.inc -gen-typedef-decls -typedefs-dialect=${folder} --
    ${name}Types.cpp.inc -gen-typedef-defs -typedefs-dialect=${folder} --
    ${name}Attrs.h.inc -gen-attrdef-decls -attrdefs-dialect=${folder} --
    ${name}Attrs.cpp.inc -gen-attrdef-defs -attrdefs-dialect=${folder} --
    ${name}Enums.h.inc -gen-enum-decls -- ${name}Enums.cpp.inc -gen-enum-defs --
    ${name}.md -gen-dialect-doc -dialect=${folder})
endfunction()
