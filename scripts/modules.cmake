# soapbox_module(NAME SOURCES .. [TESTS ..] [BENCHES ..] [DEPENDS ..] [LIBRARIES ..])
#
# One static library soapbox_NAME from SOURCES, one GoogleTest program soapbox_NAME_test from TESTS.
# DEPENDS names other modules: linking follows the layers, so an upward call does not link.
# BENCHES join the Google Benchmark program of the top folder: sim_bench, strategies_bench, ...

add_library(soapbox_flags INTERFACE)
target_include_directories(soapbox_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(soapbox_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wnon-virtual-dtor
  -ffp-contract=off  # fused multiply-adds would make results depend on the machine
  # false alarms inside Boost and the standard library at -O1 and under sanitizers, and of g++ 12
  # about "text" + std::string at -O3 (GCC bug 105651)
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized -Wno-restrict>
  $<$<CXX_COMPILER_ID:Clang>:-Wno-sign-conversion>  # g++'s -Wconversion leaves it out, too
  $<$<BOOL:${SOAPBOX_WERROR}>:-Werror>)
if(SOAPBOX_SANITIZE)
  target_compile_options(soapbox_flags INTERFACE
    -fsanitize=${SOAPBOX_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(soapbox_flags INTERFACE -fsanitize=${SOAPBOX_SANITIZE})
endif()

function(soapbox_module name)
  cmake_parse_arguments(ARG "" "" "SOURCES;TESTS;BENCHES;DEPENDS;LIBRARIES" ${ARGN})
  list(TRANSFORM ARG_DEPENDS PREPEND soapbox_)
  if(ARG_SOURCES)
    add_library(soapbox_${name} STATIC ${ARG_SOURCES})
    set(scope PUBLIC)
    target_link_libraries(soapbox_${name} PRIVATE ${ARG_LIBRARIES})
  else()
    add_library(soapbox_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_link_libraries(soapbox_${name} ${scope} soapbox_flags ${ARG_DEPENDS})
  if(ARG_TESTS)
    add_executable(soapbox_${name}_test ${ARG_TESTS})
    target_link_libraries(soapbox_${name}_test PRIVATE soapbox_${name} ${ARG_LIBRARIES}
                          GTest::gtest GTest::gmock GTest::gtest_main)
    target_compile_definitions(soapbox_${name}_test PRIVATE
      SOAPBOX_SOURCE_DIR="${PROJECT_SOURCE_DIR}" SOAPBOX_BINARY_DIR="${CMAKE_BINARY_DIR}")
    # One CTest entry per suite file keeps the start-up cost of hundreds of processes away.
    add_test(NAME ${name} COMMAND soapbox_${name}_test)
    set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 600)
  endif()
  if(ARG_BENCHES)
    string(REGEX REPLACE "^${PROJECT_SOURCE_DIR}/([^/]+).*$" "\\1" top ${CMAKE_CURRENT_SOURCE_DIR})
    list(TRANSFORM ARG_BENCHES PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
    set_property(GLOBAL APPEND PROPERTY SOAPBOX_BENCH_FOLDERS ${top})
    set_property(GLOBAL APPEND PROPERTY SOAPBOX_BENCH_SOURCES_${top} ${ARG_BENCHES})
    set_property(GLOBAL APPEND PROPERTY SOAPBOX_BENCH_MODULES_${top} soapbox_${name})
  endif()
endfunction()

# Called last: the benchmark programs, one for each top folder that has any.
function(soapbox_finish_benchmarks)
  get_property(folders GLOBAL PROPERTY SOAPBOX_BENCH_FOLDERS)
  list(REMOVE_DUPLICATES folders)
  foreach(top ${folders})
    get_property(sources GLOBAL PROPERTY SOAPBOX_BENCH_SOURCES_${top})
    get_property(modules GLOBAL PROPERTY SOAPBOX_BENCH_MODULES_${top})
    add_executable(${top}_bench ${sources})
    target_compile_definitions(${top}_bench PRIVATE SOAPBOX_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    target_link_libraries(${top}_bench PRIVATE ${modules} benchmark::benchmark
                          benchmark::benchmark_main)
  endforeach()
endfunction()
