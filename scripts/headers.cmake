# Each header compiles alone. One with a .cc of its name shows it there, where it is the first
# include (check_layers.py sees to that); every other header gets a file that includes nothing else.
# Debug builds only, as one proof is enough.
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  set(sources)
  foreach(folder sim calib strategies results scenarios)
    file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}
         ${PROJECT_SOURCE_DIR}/${folder}/*.h)
    list(FILTER headers EXCLUDE REGEX "^calib/cuda/")  # need CUDA's
    foreach(header ${headers})
      string(REGEX REPLACE "\\.h$" ".cc" source ${header})
      if(NOT EXISTS ${PROJECT_SOURCE_DIR}/${source})
        string(REPLACE "/" "_" unit ${source})
        set(unit ${CMAKE_CURRENT_BINARY_DIR}/headers/${unit})
        file(CONFIGURE OUTPUT ${unit} CONTENT "#include \"${header}\"\n")
        list(APPEND sources ${unit})
      endif()
    endforeach()
  endforeach()
  add_library(soapbox_headers OBJECT ${sources})
  target_link_libraries(soapbox_headers PRIVATE soapbox_flags)
  # As the test programs have it: headers for tests may name files of the tree.
  target_compile_definitions(soapbox_headers PRIVATE SOAPBOX_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                             SOAPBOX_BINARY_DIR="${CMAKE_BINARY_DIR}")
endif()
